//! Random numbers that come again.

/// A generator: the same for the same seed, group and case.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, group: &str, case: u64) -> Self {
        let start = group.bytes().fold(seed, |all, byte| all.wrapping_mul(31).wrapping_add(byte.into()));
        let mut random = Self(start ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    /// Any number (the SplitMix64 generator).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Once in `often` times.
    pub(crate) fn once_in(&mut self, often: u64) -> bool {
        self.below(often) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
