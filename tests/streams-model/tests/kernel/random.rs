//! Any sequence of calls with any arguments gets an answer: the model itself never breaks, and stays consistent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use streams_model::abi::{self, INTERFACE_REQUESTS, STREAM_REQUESTS};
use streams_model::{Arena, Call, Family, Lifreq, Place, Service, Strbuf, Strioctl};

use crate::caller::Caller;

/// A small generator (xorshift), so that a failing seed can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn fd(&mut self) -> i32 {
        self.below(14) as i32 - 1
    }

    fn number(&mut self) -> i64 {
        let small = self.below(24) as i64 - 3;
        let large = self.next().cast_signed();
        self.pick(&[small, small, small, large])
    }

    /// Bytes that are now and then what a request wants.
    fn bytes(&mut self, arena: &mut Arena) -> u64 {
        let name = self.pick(&["tap0", "tap1", "tap0:1", "vm3", "lo0", "", "tap99", "x\u{e9}1"]);
        let mut lifreq = Lifreq::default();
        lifreq.set_name(name).set_ppa(self.below(4) as u32).set_flags(self.next() & self.next());
        if self.below(2) == 0 {
            let family = self.pick(&[2, 26, 0, 7]);
            let address: Vec<u8> = (0..self.pick(&[4, 16])).map(|_| self.next() as u8).collect();
            lifreq.set_address(family, &address);
        }
        match self.below(9) {
            0 => arena.put_string(self.pick(&["ip", "arp", "dummymod", "udp", "a-very-long-name"])),
            1 => arena.put(&(self.number() as i32).to_le_bytes()),
            2 => self.next(),
            3 => u64::MAX - self.below(64),
            4 => 0,
            _ => arena.put(&lifreq.0),
        }
    }

    fn strioctl(&mut self, arena: &mut Arena) -> u64 {
        let odd = self.number() as i32;
        let len = self.pick(&[4, 4, 376, 376, 377, odd]);
        let strioctl =
            Strioctl { cmd: self.request(), timout: self.number() as i32, len, dp: self.bytes(arena) };
        arena.put(&strioctl.image())
    }

    fn request(&mut self) -> u32 {
        let tables = [STREAM_REQUESTS, INTERFACE_REQUESTS].concat();
        let known = self.pick(&tables).1 as u32;
        let unknown = self.next() as u32;
        self.pick(&[known, known, known, known, unknown])
    }

    fn strbuf(&mut self, arena: &mut Arena) -> u64 {
        let buf = self.bytes(arena);
        let strbuf = Strbuf { maxlen: self.number() as i32, len: self.pick(&[-1, 4, 20, 60, i32::MAX]), buf };
        arena.put(&strbuf.image())
    }

    fn call(&mut self, arena: &mut Arena) -> Call {
        let (fd, place) = (self.fd(), Place::Lowest(0));
        match self.below(16) {
            0 | 1 => {
                let path = self.pick(&[
                    "/dev/tap",
                    "/dev/tap",
                    "/dev/udp",
                    "/dev/udp6",
                    "/dev/ip",
                    "/dev/tun",
                    "/x",
                ]);
                let flags = self.pick(&[abi::O_RDWR, abi::O_RDWR | abi::O_NONBLOCK]);
                Call::Open { path: arena.put_string(path), flags, place }
            }
            2 => Call::Close { fd },
            3 => Call::Dup { fd, close_on_exec: true, place },
            4 => Call::Fcntl { fd, command: self.number() as i32, argument: self.number() },
            5 => Call::Read { fd, buffer: arena.put(&[0; 64]), length: self.pick(&[0, 1, 64]) },
            6 => {
                Call::Write { fd, buffer: self.bytes(arena), length: self.pick(&[0, 21, 60, 376, u64::MAX]) }
            }
            7 => Call::Getmsg {
                fd,
                control: self.strbuf(arena),
                data: self.strbuf(arena),
                flags: arena.put(&[0; 4]),
            },
            8 => Call::Putmsg { fd, control: self.strbuf(arena), data: self.strbuf(arena), flags: 0 },
            9 => Call::Poll { fds: self.bytes(arena), count: self.pick(&[0, 1, 4, u64::MAX]) },
            10 => Call::Socket { family: self.pick(&[Family::V4, Family::V6]), close_on_exec: true, place },
            11 => Call::Readv { fd, vector: self.bytes(arena), count: self.number() as i32 },
            12 => Call::Ioctl { fd, request: abi::I_STR, argument: self.strioctl(arena) },
            _ => {
                let value = self.number().cast_unsigned();
                let argument = if self.below(2) == 0 { value } else { self.bytes(arena) };
                Call::Ioctl { fd, request: self.request(), argument }
            }
        }
    }
}

/// What must hold whatever was called.
fn check(caller: &Caller, seed: u64) {
    let state = caller.kernel.snapshot();
    for link in &state.links {
        assert!(link.references >= 1 && link.muxid > 0, "seed {seed}: {link:?}");
    }
    let held = state.descriptors.len() + state.links.len();
    assert!(state.streams <= held + caller_stuck(caller), "seed {seed}: {state:?}");
    assert!(state.ppas.len() <= state.streams, "seed {seed}: {state:?}");
}

/// Streams that nothing refers to because closing them never returned.
fn caller_stuck(caller: &Caller) -> usize {
    let hung = |record: &&streams_model::Record| record.outcome.hung() || record.outcome.result().is_err();
    caller.kernel.trace().iter().filter(hung).count()
}

#[test]
fn no_sequence_of_calls_breaks_the_model() {
    let (mut answered, mut panicked) = (0, 0);
    for seed in 1..=100_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut caller = if seed % 2 == 0 { crate::up_and_quiet().0 } else { Caller::default() };
        caller.kernel.allow_muxid_all();
        caller.kernel.set_service(random.pick(&[Service::Late, Service::Prompt, Service::Held]));
        for _ in 0..200 {
            let mut arena = Arena::new();
            let call = random.call(&mut arena);
            let outcome = catch_unwind(AssertUnwindSafe(|| caller.kernel.call(&mut arena, call)));
            let Err(payload) = outcome else {
                answered += 1;
                check(&caller, seed);
                if random.below(20) == 0 {
                    caller.kernel.advance(Duration::from_millis(random.below(20_000)));
                }
                continue;
            };
            let reason = payload.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(reason.contains("panics a real machine"), "seed {seed}, {call:?}: {reason}");
            panicked += 1;
            break;
        }
    }
    assert!(answered > 5_000 && panicked > 0, "{answered} calls answered, {panicked} machines panicked");
}
