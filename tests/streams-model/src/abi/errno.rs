//! Error numbers of illumos.

use std::fmt;

/// An illumos error number. Not the host's: 48 is `ENOTSUP` here and `EADDRINUSE` is 125.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident = $value:expr;)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub const $name: Self = Self($value);
            )*
            /// Every error number the model knows, by name.
            pub const ALL: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

errnos! {
    EPERM = 1;
    ENOENT = 2;
    EINTR = 4;
    EIO = 5;
    ENXIO = 6;
    EBADF = 9;
    EAGAIN = 11;
    ENOMEM = 12;
    EACCES = 13;
    EFAULT = 14;
    EBUSY = 16;
    EEXIST = 17;
    ENODEV = 19;
    EINVAL = 22;
    EMFILE = 24;
    ENOTTY = 25;
    ENOSPC = 28;
    ERANGE = 34;
    ENOTSUP = 48;
    ENOSTR = 60;
    ENODATA = 61;
    ETIME = 62;
    ENOSR = 63;
    ECOMM = 70;
    EPROTO = 71;
    EBADMSG = 77;
    ENAMETOOLONG = 78;
    EOVERFLOW = 79;
    EOPNOTSUPP = 122;
    EAFNOSUPPORT = 124;
    EADDRINUSE = 125;
    EADDRNOTAVAIL = 126;
    ENETDOWN = 127;
    ENOBUFS = 132;
    ETIMEDOUT = 145;
    EALREADY = 149;
    EINPROGRESS = 150;
}

impl Errno {
    /// The header's name of the number, when the model knows it.
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(_, value)| *value == self).map(|(name, _)| *name)
    }

    /// The number that has this name in the header.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
