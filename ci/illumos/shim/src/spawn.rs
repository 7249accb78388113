//! Starting programs: `spawn.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::number;
use crate::exec::Command;
use crate::file::OPEN_FLAGS;
use crate::handle::Handle;
use crate::signal_set::SignalSet;
use crate::translate::Flags;
use libc::mode_t;
use std::ffi::{c_char, c_int, c_short};

type FileActions = Handle<libc::posix_spawn_file_actions_t>;
type Attributes = Handle<libc::posix_spawnattr_t>;

/// `spawn.h`.
const SPAWN_FLAGS: Flags = Flags {
    what: "posix_spawn flag",
    pairs: &[
        (0x01, libc::POSIX_SPAWN_RESETIDS as c_int),
        (0x02, libc::POSIX_SPAWN_SETPGROUP as c_int),
        (0x04, libc::POSIX_SPAWN_SETSIGDEF as c_int),
        (0x08, libc::POSIX_SPAWN_SETSIGMASK as c_int),
        // POSIX_SPAWN_NOEXECERR_NP: an exec that fails ends the child with 127 and no error; the host always tells
        (0x4000, 0),
    ],
};

#[unsafe(export_name = "illumos_posix_spawnattr_init")]
unsafe extern "C" fn posix_spawnattr_init(attributes: *mut Attributes) -> c_int {
    // SAFETY: initialises the host's object.
    let initialise = |host| unsafe { libc::posix_spawnattr_init(host) };
    // SAFETY: the caller's place for one address.
    unsafe { Handle::make(attributes, initialise) }
}

#[unsafe(export_name = "illumos_posix_spawnattr_destroy")]
unsafe extern "C" fn posix_spawnattr_destroy(attributes: *mut Attributes) -> c_int {
    // SAFETY: ends the host's object, which is not used again.
    let destroy = |host| unsafe { libc::posix_spawnattr_destroy(host) };
    // SAFETY: made by the init function, given back by the caller.
    unsafe { Handle::end(attributes, destroy) }
}

#[unsafe(export_name = "illumos_posix_spawnattr_setflags")]
unsafe extern "C" fn posix_spawnattr_setflags(attributes: *mut Attributes, flags: c_short) -> c_int {
    // SAFETY: initialised by posix_spawnattr_init.
    let host = unsafe { Handle::host(attributes) };
    let flags = c_short::try_from(SPAWN_FLAGS.to_host(c_int::from(flags))).unwrap_or(c_short::MAX);
    // SAFETY: as above.
    number(unsafe { libc::posix_spawnattr_setflags(host, flags) })
}

#[unsafe(export_name = "illumos_posix_spawnattr_setpgroup")]
unsafe extern "C" fn posix_spawnattr_setpgroup(attributes: *mut Attributes, group: c_int) -> c_int {
    // SAFETY: initialised by posix_spawnattr_init.
    let host = unsafe { Handle::host(attributes) };
    // SAFETY: as above.
    number(unsafe { libc::posix_spawnattr_setpgroup(host, group) })
}

#[unsafe(export_name = "illumos_posix_spawnattr_setsigdefault")]
unsafe extern "C" fn posix_spawnattr_setsigdefault(
    attributes: *mut Attributes,
    set: *const SignalSet,
) -> c_int {
    // SAFETY: initialised by posix_spawnattr_init.
    let host = unsafe { Handle::host(attributes) };
    // SAFETY: the caller's set.
    let set = unsafe { &*set }.host();
    // SAFETY: initialised attributes, and a set of this stack.
    number(unsafe { libc::posix_spawnattr_setsigdefault(host, &raw const set) })
}

#[unsafe(export_name = "illumos_posix_spawnattr_setsigmask")]
unsafe extern "C" fn posix_spawnattr_setsigmask(attributes: *mut Attributes, set: *const SignalSet) -> c_int {
    // SAFETY: initialised by posix_spawnattr_init.
    let host = unsafe { Handle::host(attributes) };
    // SAFETY: the caller's set.
    let set = unsafe { &*set }.host();
    // SAFETY: initialised attributes, and a set of this stack.
    number(unsafe { libc::posix_spawnattr_setsigmask(host, &raw const set) })
}

#[unsafe(export_name = "illumos_posix_spawn_file_actions_init")]
unsafe extern "C" fn posix_spawn_file_actions_init(actions: *mut FileActions) -> c_int {
    // SAFETY: initialises the host's object.
    let initialise = |host| unsafe { libc::posix_spawn_file_actions_init(host) };
    // SAFETY: the caller's place for one address.
    unsafe { Handle::make(actions, initialise) }
}

#[unsafe(export_name = "illumos_posix_spawn_file_actions_destroy")]
unsafe extern "C" fn posix_spawn_file_actions_destroy(actions: *mut FileActions) -> c_int {
    // SAFETY: ends the host's object, which is not used again.
    let destroy = |host| unsafe { libc::posix_spawn_file_actions_destroy(host) };
    // SAFETY: made by the init function, given back by the caller.
    unsafe { Handle::end(actions, destroy) }
}

#[unsafe(export_name = "illumos_posix_spawn_file_actions_adddup2")]
unsafe extern "C" fn posix_spawn_file_actions_adddup2(
    actions: *mut FileActions,
    from: c_int,
    to: c_int,
) -> c_int {
    // SAFETY: initialised by posix_spawn_file_actions_init.
    let host = unsafe { Handle::host(actions) };
    // SAFETY: as above.
    number(unsafe { libc::posix_spawn_file_actions_adddup2(host, from, to) })
}

#[unsafe(export_name = "illumos_posix_spawn_file_actions_addclose")]
unsafe extern "C" fn posix_spawn_file_actions_addclose(actions: *mut FileActions, fd: c_int) -> c_int {
    // SAFETY: initialised by posix_spawn_file_actions_init.
    let host = unsafe { Handle::host(actions) };
    // SAFETY: as above.
    number(unsafe { libc::posix_spawn_file_actions_addclose(host, fd) })
}

#[unsafe(export_name = "illumos_posix_spawn_file_actions_addopen")]
unsafe extern "C" fn posix_spawn_file_actions_addopen(
    actions: *mut FileActions,
    fd: c_int,
    path: *const c_char,
    flags: c_int,
    mode: mode_t,
) -> c_int {
    // SAFETY: initialised by posix_spawn_file_actions_init.
    let host = unsafe { Handle::host(actions) };
    let flags = (flags & 3) | OPEN_FLAGS.to_host(flags & !3);
    // SAFETY: an initialised list, and the caller's string, which the host copies.
    number(unsafe { libc::posix_spawn_file_actions_addopen(host, fd, path, flags, mode) })
}

#[unsafe(export_name = "illumos_posix_spawn_file_actions_addchdir")]
unsafe extern "C" fn posix_spawn_file_actions_addchdir(
    actions: *mut FileActions,
    path: *const c_char,
) -> c_int {
    // SAFETY: initialised by posix_spawn_file_actions_init.
    let host = unsafe { Handle::host(actions) };
    // SAFETY: an initialised list, and the caller's string, which the host copies.
    number(unsafe { libc::posix_spawn_file_actions_addchdir_np(host, path) })
}

#[unsafe(export_name = "illumos_posix_spawn_file_actions_addchdir_np")]
unsafe extern "C" fn posix_spawn_file_actions_addchdir_np(
    actions: *mut FileActions,
    path: *const c_char,
) -> c_int {
    // SAFETY: the same function under its older name.
    unsafe { posix_spawn_file_actions_addchdir(actions, path) }
}

/// # Safety
/// As of posix_spawn(3C).
unsafe fn spawn(
    pid: *mut c_int,
    file: *const c_char,
    actions: *const FileActions,
    attributes: *const Attributes,
    strings: (*const *const c_char, *const *const c_char),
    search: bool,
) -> c_int {
    // SAFETY: the caller's strings.
    let command = unsafe { Command::for_illumos(file, strings.0, search) };
    let arguments = command.as_ref().map(Command::arguments);
    let file = command.as_ref().map_or(file, Command::path);
    let arguments = arguments.as_ref().map_or(strings.0, Vec::as_ptr);
    // SAFETY: null, or an object that its init function has made.
    let actions = unsafe { Handle::host(actions) };
    // SAFETY: as above.
    let attributes = unsafe { Handle::host(attributes) };
    let spawn = if search { libc::posix_spawnp } else { libc::posix_spawn };
    // SAFETY: a place for the number, the host's objects, and strings that outlive the call.
    number(unsafe { spawn(pid, file, actions, attributes, arguments.cast(), strings.1.cast()) })
}

#[unsafe(export_name = "illumos_posix_spawn")]
unsafe extern "C" fn posix_spawn(
    pid: *mut c_int,
    path: *const c_char,
    actions: *const FileActions,
    attributes: *const Attributes,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's arguments, by the prototype.
    unsafe { spawn(pid, path, actions, attributes, (arguments, environment), false) }
}

#[unsafe(export_name = "illumos_posix_spawnp")]
unsafe extern "C" fn posix_spawnp(
    pid: *mut c_int,
    file: *const c_char,
    actions: *const FileActions,
    attributes: *const Attributes,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's arguments, by the prototype.
    unsafe { spawn(pid, file, actions, attributes, (arguments, environment), true) }
}
