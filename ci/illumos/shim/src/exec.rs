//! Other programs: `unistd.h`.
//!
//! A program for illumos names a loader that is not there, so the host's loader is started with it instead, as `run`
//! does. Everything else is the host's own.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::errno;
use crate::process::{environment, strings};
use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{env, ptr};

/// The host's loader.
const LOADER: &CStr = c"/lib64/ld-linux-x86-64.so.2";
/// The loaders illumos' programs name (System V ABI: 64-bit programs have their own folder).
const ILLUMOS_LOADERS: [&[u8]; 3] = [b"/lib/amd64/ld.so.1", b"/usr/lib/amd64/ld.so.1", b"/lib/64/ld.so.1"];
const PT_INTERP: u32 = 3;

/// A program and its arguments, as the host must be asked for them.
pub(crate) struct Command {
    path: CString,
    arguments: Vec<CString>,
}

impl Command {
    /// None if the host runs the file as it is.
    ///
    /// # Safety
    /// `file` is a NUL-terminated string, `arguments` an array of them that ends with null.
    pub(crate) unsafe fn for_illumos(
        file: *const c_char,
        arguments: *const *const c_char,
        search: bool,
    ) -> Option<Self> {
        // SAFETY: as the caller promises.
        let file = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(file) }.to_bytes()));
        let program = if search { find(file)? } else { file.to_path_buf() };
        if !is_illumos(&program) {
            return None;
        }
        // SAFETY: as the caller promises.
        let mut given = unsafe { strings(arguments) }.into_iter();
        let name = given.next().unwrap_or_default().to_owned();
        let libraries = CString::new(libraries()?.as_os_str().as_bytes()).ok()?;
        let program = CString::new(program.as_os_str().as_bytes()).ok()?;
        let mut arguments =
            vec![LOADER.to_owned(), c"--library-path".into(), libraries, c"--argv0".into(), name, program];
        arguments.extend(given.map(CStr::to_owned));
        Some(Self { path: LOADER.to_owned(), arguments })
    }

    pub(crate) fn path(&self) -> *const c_char {
        self.path.as_ptr()
    }

    /// An array that ends with null; it borrows the strings.
    pub(crate) fn arguments(&self) -> Vec<*const c_char> {
        self.arguments.iter().map(|argument| argument.as_ptr()).chain([ptr::null()]).collect()
    }
}

/// Where execvp would find the file.
fn find(file: &Path) -> Option<PathBuf> {
    if file.as_os_str().as_bytes().contains(&b'/') {
        return Some(file.to_path_buf());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(file)).find(|candidate| candidate.is_file())
}

/// The folder this library was loaded from: the other libraries are there too.
fn libraries() -> Option<PathBuf> {
    let mut found = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: an address in this library, and a place of this stack.
    if unsafe { libc::dladdr((libraries as *const ()).cast(), &raw mut found) } == 0 {
        return None;
    }
    // SAFETY: the loader's own string, which lives as long as this library.
    let file = unsafe { CStr::from_ptr(found.dli_fname) };
    Some(Path::new(OsStr::from_bytes(file.to_bytes())).parent()?.to_path_buf())
}

/// Does the file name illumos' loader? (ELF-64: program headers at 0x20, their size and number at 0x36 and 0x38.)
fn is_illumos(path: &Path) -> bool {
    interpreter(path).is_some_and(|name| ILLUMOS_LOADERS.contains(&name.as_slice()))
}

fn interpreter(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let mut header = [0; 64];
    file.read_exact(&mut header).ok()?;
    if header[..5] != *b"\x7fELF\x02" {
        return None;
    }
    file.seek(SeekFrom::Start(number(&header, 0x20, 8)?)).ok()?;
    for _ in 0..number(&header, 0x38, 2)? {
        let mut segment = [0; 56];
        file.read_exact(&mut segment).ok()?;
        if number(&segment, 0, 4)? == u64::from(PT_INTERP) {
            let mut name = vec![0; usize::try_from(number(&segment, 0x20, 8)?).ok()?.min(256)];
            file.seek(SeekFrom::Start(number(&segment, 0x08, 8)?)).ok()?;
            file.read_exact(&mut name).ok()?;
            name.pop();
            return Some(name);
        }
    }
    None
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// # Safety
/// As of execve(2): strings and arrays of strings, the latter ending with null.
unsafe fn exec(
    file: *const c_char,
    given: *const *const c_char,
    environment: *const *const c_char,
    search: bool,
) -> c_int {
    // SAFETY: as the caller promises.
    let command = unsafe { Command::for_illumos(file, given, search) };
    let arguments = command.as_ref().map(Command::arguments);
    let file = command.as_ref().map_or(file, Command::path);
    let given = arguments.as_ref().map_or(given, Vec::as_ptr);
    let exec = if search { libc::execvpe } else { libc::execve };
    // SAFETY: the caller's strings or those of `command`, which both outlive the call.
    errno(unsafe { exec(file, given, environment) })
}

#[unsafe(export_name = "illumos_execve")]
unsafe extern "C" fn execve(
    path: *const c_char,
    given: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's strings, by the prototype.
    unsafe { exec(path, given, environment, false) }
}

#[unsafe(export_name = "illumos_execv")]
unsafe extern "C" fn execv(path: *const c_char, given: *const *const c_char) -> c_int {
    // SAFETY: the caller's strings, by the prototype.
    unsafe { exec(path, given, environment(), false) }
}

#[unsafe(export_name = "illumos_execvp")]
unsafe extern "C" fn execvp(file: *const c_char, given: *const *const c_char) -> c_int {
    // SAFETY: the caller's strings, by the prototype.
    unsafe { exec(file, given, environment(), true) }
}

#[cfg(test)]
mod tests {
    use super::interpreter;
    use std::path::Path;

    #[test]
    fn a_program_of_the_host_names_the_host_s_loader() {
        assert_eq!(interpreter(Path::new("/bin/ls")).as_deref(), Some(&b"/lib64/ld-linux-x86-64.so.2"[..]));
    }

    #[test]
    fn what_is_no_program_names_none() {
        assert_eq!(interpreter(Path::new("/etc/passwd")), None);
        assert_eq!(interpreter(Path::new("/")), None);
        assert_eq!(interpreter(Path::new("/nowhere")), None);
    }
}
