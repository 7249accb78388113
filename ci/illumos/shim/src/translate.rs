//! Tables between illumos' numbers and the host's.

use crate::unknown::unknown;
use std::ffi::c_int;

/// A set of flags: pairs of illumos' bit and the host's.
pub(crate) struct Flags {
    pub(crate) what: &'static str,
    pub(crate) pairs: &'static [(c_int, c_int)],
}

impl Flags {
    /// The host's flags for illumos'; a bit that is not in the table stops the process.
    pub(crate) fn to_host(&self, illumos: c_int) -> c_int {
        let (host, rest) = self.pairs.iter().fold((0, illumos), |(host, rest), &(from, to)| {
            if illumos & from == from { (host | to, rest & !from) } else { (host, rest) }
        });
        if rest != 0 {
            unknown(self.what, format_args!("{rest:#x}"));
        }
        host
    }

    /// illumos' flags for the host's; what illumos has no bit for is left out, a program could not ask for it.
    pub(crate) fn to_illumos(&self, host: c_int) -> c_int {
        self.pairs
            .iter()
            .filter(|&&(_, to)| to != 0 && host & to == to)
            .fold(0, |flags, &(from, _)| flags | from)
    }
}

/// A set of names: pairs of illumos' number and the host's.
pub(crate) struct Numbers {
    pub(crate) what: &'static str,
    pub(crate) pairs: &'static [(c_int, c_int)],
}

impl Numbers {
    /// The host's number, if it has the thing.
    pub(crate) fn find_host(&self, illumos: c_int) -> Option<c_int> {
        self.pairs.iter().find(|pair| pair.0 == illumos).map(|pair| pair.1)
    }

    /// illumos' number, if it has the thing.
    pub(crate) fn find_illumos(&self, host: c_int) -> Option<c_int> {
        self.pairs.iter().find(|pair| pair.1 == host).map(|pair| pair.0)
    }

    /// The host's number; one that is not in the table stops the process.
    pub(crate) fn to_host(&self, illumos: c_int) -> c_int {
        self.find_host(illumos).unwrap_or_else(|| unknown(self.what, illumos))
    }

    /// illumos' number; one that is not in the table stops the process.
    pub(crate) fn to_illumos(&self, host: c_int) -> c_int {
        self.find_illumos(host).unwrap_or_else(|| unknown(self.what, format_args!("{host} of the host")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Numbers};

    const FLAGS: Flags = Flags { what: "test flag", pairs: &[(0x80, 0x800), (0x08, 0x400), (0x2000, 0)] };
    const NUMBERS: Numbers = Numbers { what: "test number", pairs: &[(26, 10), (2, 2)] };

    #[test]
    fn flags_go_both_ways() {
        assert_eq!(FLAGS.to_host(0x2088), 0xc00);
        assert_eq!(FLAGS.to_illumos(0xc00), 0x88);
        assert_eq!(FLAGS.to_illumos(0x8000), 0);
    }

    #[test]
    fn numbers_go_both_ways() {
        assert_eq!(NUMBERS.to_host(26), 10);
        assert_eq!(NUMBERS.to_illumos(10), 26);
        assert_eq!(NUMBERS.find_host(3), None);
    }
}
