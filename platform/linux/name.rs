//! The kernel's rule for interface names (`dev_valid_name` and `__dev_alloc_name` of `net/core/dev.c`).

use crate::attach::AttachError;

const LONGEST: usize = libc::IFNAMSIZ - 1;

/// Refuses what `TUNSETIFF` would refuse, or silently cut.
pub(crate) fn check_name(name: &str) -> Result<(), AttachError> {
    match broken_rule(name.as_bytes()) {
        Some(reason) => Err(AttachError::BadName { name: name.to_owned(), reason }),
        None => Ok(()),
    }
}

/// Tells whether the kernel is to put a number where `%d` stands.
pub(super) fn is_template(name: &str) -> bool {
    name.contains("%d")
}

fn broken_rule(name: &[u8]) -> Option<&'static str> {
    match name {
        [] => return Some("it is empty"),
        b"." | b".." => return Some("the kernel reserves it"),
        b"all" | b"default" => return Some("the kernel uses this name for the settings of all interfaces"),
        _ if name.len() > LONGEST => return Some("it is longer than 15 bytes"),
        _ => {}
    }
    if name.iter().any(|byte| is_space(*byte)) {
        return Some("it contains white space");
    }
    if name.iter().any(|byte| matches!(byte, 0 | b'/' | b':')) {
        return Some("it contains a NUL, '/' or ':'");
    }
    let percents = name.iter().filter(|byte| **byte == b'%').count();
    let templates = name.windows(2).filter(|pair| pair == b"%d").count();
    (percents > 1 || percents != templates).then_some("a '%' may occur only once, as '%d'")
}

/// The kernel classifies single bytes as Latin-1, where 0xa0 is a space; in UTF-8 it is the second byte of `à`.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0x0b | 0xa0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row B30.
    #[test]
    fn a_name_of_linux_is_never_cut_and_follows_the_kernels_rule() {
        for good in ["a", "tap0", "a23456789012345", "tap%d", "%d", "net-é", "tap.1", "-"] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
        for bad in
            ["", ".", "..", "a234567890123456", "a/b", "a:b", "a b", "a\tb", "a\u{b}b", "à", "a\0b", "all"]
        {
            assert!(matches!(check_name(bad), Err(AttachError::BadName { .. })), "{bad:?}");
        }
        for bad in ["%", "a%s", "%d%d", "%%d", "a%d%", "%D"] {
            assert!(matches!(check_name(bad), Err(AttachError::BadName { .. })), "{bad:?}");
        }
    }
}
