//! The kernel's own count of frames that nobody read in time.

use std::fs;
use std::os::fd::BorrowedFd;

use super::interface::Interface;
use super::{Plumbing, interface};

/// The column of `drop` among the transmit columns, counted after the name (proc_net_dev of proc(5)).
const TRANSMIT_DROP: usize = 11;

/// Frames that found the queue full (`tx_queue_len`), or the interface without a reader.
pub(crate) fn dropped_by_host(fd: BorrowedFd<'_>, _: Option<&Plumbing>) -> Option<u64> {
    // The table is that of this thread's namespace, where another interface could bear the name.
    Interface::of(fd).ok()?;
    let name = interface::name(fd, None).ok()?;
    let table = fs::read("/proc/thread-self/net/dev").ok()?;
    table.split(|byte| *byte == b'\n').find_map(|line| drops(line, name.as_bytes()))
}

fn drops(line: &[u8], name: &[u8]) -> Option<u64> {
    let counters = line.trim_ascii_start().strip_prefix(name)?.strip_prefix(b":")?;
    let mut columns = counters.split(u8::is_ascii_whitespace).filter(|column| !column.is_empty());
    std::str::from_utf8(columns.nth(TRANSMIT_DROP)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::drops;

    #[test]
    fn the_transmit_drops_are_read_and_no_other_column() {
        let line = b"  tap0:     1    2    3    4    5     6          7         8        9      10   11   12    13    14       15         16";
        assert_eq!(drops(line, b"tap0"), Some(12));
        assert_eq!(drops(line, b"tap"), None);
        assert_eq!(drops(b" face |bytes    packets", b"face"), None);
    }
}
