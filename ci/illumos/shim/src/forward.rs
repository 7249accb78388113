//! Functions that are the same on both systems but for the error's number.

/// Exports functions that pass their arguments on untouched to the host's function of the same name.
///
/// Before the list stands how the result tells of an error: [`errno`](crate::errno::errno) for -1 or null and
/// `errno`, [`number`](crate::errno::number) for the error as the result, [`same`](crate::errno::same) for no error.
macro_rules! forward {
    ($result:ident: $(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $return:ty)?;)*) => {$(
        #[unsafe(export_name = concat!("illumos_", stringify!($name)))]
        unsafe extern "C" fn $name($($argument: $type),*) $(-> $return)? {
            // SAFETY: the host's function has the very prototype and contract of illumos': what the caller owes the
            // one (live pointers of the stated type and size) is all that the other needs.
            let result = unsafe { libc::$name($($argument),*) };
            crate::errno::$result(result)
        }
    )*};
}

/// Exports functions of files' names in the same way: `errno` tells of an error, and a name that is too long is one.
macro_rules! forward_paths {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $return:ty;)*) => {$(
        #[unsafe(export_name = concat!("illumos_", stringify!($name)))]
        unsafe extern "C" fn $name($($argument: $type),*) -> $return {
            // SAFETY: a name is null or a NUL-terminated string, by the prototype.
            if false $(|| unsafe { crate::path::Argument::is_too_long($argument) })* {
                return crate::errno::fail(crate::errno::ENAMETOOLONG);
            }
            // SAFETY: the host's function has the very prototype and contract of illumos'.
            let result = unsafe { libc::$name($($argument),*) };
            crate::errno::errno(result)
        }
    )*};
}
