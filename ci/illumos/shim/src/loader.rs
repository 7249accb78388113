//! The loader: `dlfcn.h`, `link.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::same;
use crate::system::program_name;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// `Link_map` of `link.h`.
#[repr(C)]
struct Object {
    base: usize,
    name: *const c_char,
    dynamic: *const c_void,
    next: *mut Self,
    previous: *mut Self,
    reference_name: *const c_char,
}

/// `dlfcn.h`.
const RTLD_DI_LINKMAP: c_int = 2;
/// `dlfcn.h`: in all objects, where the host has 0.
const RTLD_DEFAULT: usize = -2_isize as usize;
const PAGE: usize = 4096;

forward! { same:
    fn dlerror() -> *mut c_char;
    fn dlclose(handle: *mut c_void) -> c_int;
}

#[unsafe(export_name = "illumos_dlsym")]
unsafe extern "C" fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    let handle = if handle.addr() == RTLD_DEFAULT { libc::RTLD_DEFAULT } else { handle };
    // SAFETY: the caller's handle and NUL-terminated name.
    same(unsafe { libc::dlsym(handle, name) })
}

/// Where the program's headers begin. The host calls the base of a program that is not position independent 0;
/// std's backtraces expect what illumos calls it, the address of the headers.
fn program_base() -> usize {
    // SAFETY: takes a number.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) };
    usize::try_from(headers).unwrap_or(0) & !(PAGE - 1)
}

unsafe extern "C" fn collect(found: *mut libc::dl_phdr_info, _size: usize, list: *mut c_void) -> c_int {
    // SAFETY: the loader's record of an object that is loaded.
    let found = unsafe { &*found };
    // SAFETY: the vector of `objects`, which waits for the end of the walk.
    let list = unsafe { &mut *list.cast::<Vec<Object>>() };
    let base = usize::try_from(found.dlpi_addr).unwrap_or(0);
    let (base, name) = if list.is_empty() {
        (if base == 0 { program_base() } else { base }, program_name().as_ptr())
    } else {
        (base, found.dlpi_name)
    };
    // the kernel's own object has no file
    // SAFETY: the loader's NUL-terminated string.
    let in_a_file = list.is_empty() || unsafe { name.read() } == b'/'.cast_signed();
    if in_a_file {
        let dynamic = ptr::null();
        list.push(Object {
            base,
            name,
            dynamic,
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            reference_name: name,
        });
    }
    0
}

/// All objects, in a list that is never freed: nobody says when the program has done with it.
fn objects() -> *mut Object {
    let mut list: Vec<Object> = Vec::new();
    // SAFETY: `collect` gets the vector, for the length of the call.
    unsafe { libc::dl_iterate_phdr(Some(collect), ptr::from_mut(&mut list).cast()) };
    let list = Vec::leak(list);
    let addresses: Vec<*mut Object> = list.iter_mut().map(ptr::from_mut).collect();
    for (index, object) in list.iter_mut().enumerate() {
        object.next = addresses.get(index + 1).copied().unwrap_or(ptr::null_mut());
        object.previous = index.checked_sub(1).map_or(ptr::null_mut(), |before| addresses[before]);
    }
    addresses.first().copied().unwrap_or(ptr::null_mut())
}

#[unsafe(export_name = "illumos_dlinfo")]
unsafe extern "C" fn dlinfo(_handle: *mut c_void, request: c_int, answer: *mut c_void) -> c_int {
    if request != RTLD_DI_LINKMAP {
        crate::unknown::unknown("dlinfo request", request);
    }
    // SAFETY: the caller's place for an address, as the request says.
    unsafe { answer.cast::<*mut Object>().write(objects()) };
    0
}
