//! Objects that are one address of what only the library knows: attributes and lists of actions.

// UNSAFETY: reads and writes the caller's place for the address.
#![expect(unsafe_code, reason = "works on objects of C programs")]

use crate::errno::number;
use std::ffi::c_int;

/// Such an object: here it holds the host's object of the same name.
#[repr(transparent)]
pub(crate) struct Handle<T>(*mut T);

impl<T> Handle<T> {
    /// Makes the host's object by its own function and puts it into the caller's place.
    ///
    /// # Safety
    /// - `place` has room for an address.
    /// - `initialise` initialises what it is given.
    pub(crate) unsafe fn make(place: *mut Self, initialise: impl FnOnce(*mut T) -> c_int) -> c_int {
        let mut host = Box::<T>::new_uninit();
        let result = initialise(host.as_mut_ptr());
        // SAFETY: as the caller promises.
        unsafe { place.write(Self(Box::into_raw(host).cast())) };
        number(result)
    }

    /// The host's object, or null for none.
    ///
    /// # Safety
    /// `place` is null or was filled by [`Handle::make`].
    pub(crate) unsafe fn host(place: *const Self) -> *mut T {
        // SAFETY: as the caller promises.
        unsafe { place.as_ref() }.map_or(std::ptr::null_mut(), |handle| handle.0)
    }

    /// Ends the host's object by its own function.
    ///
    /// # Safety
    /// `place` was filled by [`Handle::make`] and is not used again.
    pub(crate) unsafe fn end(place: *mut Self, destroy: impl FnOnce(*mut T) -> c_int) -> c_int {
        // SAFETY: as the caller promises.
        let host = unsafe { Self::host(place) };
        let result = destroy(host);
        // SAFETY: the box that `make` made.
        drop(unsafe { Box::from_raw(host) });
        number(result)
    }
}
