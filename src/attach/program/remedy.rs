//! Why a program cannot be run, where its errno says less than a look at the file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What the kernel reads of a script's first line, at most.
const FIRST_LINE: u64 = 256;

/// What to do about a program at `path` that could not be started.
pub(super) fn of(path: &Path, source: &io::Error) -> String {
    match source.raw_os_error() {
        Some(libc::ENOENT) => of_missing(path),
        Some(libc::EACCES) => of_closed(path),
        Some(libc::ENOEXEC) => {
            "it is no binary of this system, and its first line names no interpreter, such as #!/bin/sh"
                .into()
        }
        Some(libc::ETXTBSY) => "a process has the program open for writing: try again when it has closed the file".into(),
        Some(libc::ENOTDIR) => "what stands before its last / is no directory".into(),
        Some(libc::EAGAIN) => {
            "this user, or this cgroup, has as many processes as it may: raise the limit (ulimit -u, TasksMax=)".into()
        }
        Some(libc::EMFILE) => {
            "this process has as many descriptors as it may: raise its limit (ulimit -n)".into()
        }
        Some(libc::ENFILE) => "the system has as many open files as it may: raise the system's limit (Linux: fs.file-max)".into(),
        Some(libc::ENOMEM) => "the system has no memory for another process".into(),
        _ => String::new(),
    }
}

/// `ENOENT` is also the answer when something is missing that the file needs.
fn of_missing(path: &Path) -> String {
    if path.symlink_metadata().is_err() {
        return "there is no such file; a path without a directory is taken from the current one".into();
    }
    if !path.exists() {
        return "it is a link to a file that does not exist".into();
    }
    match interpreter(path) {
        Some(line) if line.ends_with('\r') => {
            "its first line ends in a carriage return: give the file line ends of Unix (dos2unix)".into()
        }
        Some(line) if line.split_whitespace().next().is_some_and(|name| Path::new(name).exists()) => {
            format!(
                "its interpreter {:?} exists, but the loader or interpreter of that file does not",
                line.trim()
            )
        }
        Some(line) => format!("its interpreter {:?} does not exist", line.trim()),
        None => "the loader that the program names does not exist: the program was built for another system"
            .into(),
    }
}

fn of_closed(path: &Path) -> String {
    let executable = |file: &Metadata| file.permissions().mode() & 0o111 != 0;
    match path.metadata() {
        Ok(file) if file.is_dir() => "it is a directory".into(),
        Ok(file) if !executable(&file) => "it is not executable: chmod +x".into(),
        Ok(_) => {
            "this user may not execute it, or its interpreter, or its file system is mounted noexec".into()
        }
        Err(_) => "this user may not search the directories above it".into(),
    }
}

/// The first line of a script, without its `#!`.
fn interpreter(path: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    Some(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    use nix::errno::Errno;
    use nix::unistd::execv;

    use super::*;

    /// A folder of this test's own.
    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tap-plumb-remedy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn each_way_in_which_a_program_cannot_run_has_the_remedy_of_its_cause() {
        let folder = folder();
        let make = |name: &str, text: &str, mode: u32| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let link = folder.join("link");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let cases = [
            (folder.join("none"), "no such file"),
            (link, "a link to a file"),
            (make("crlf", "#!/bin/sh\r\nexit 0\r\n", 0o755), "carriage return"),
            (make("odd", "#! /no/such/shell -x\n", 0o755), "\"/no/such/shell -x\" does not exist"),
            (
                make("outer", &format!("#!{}\n", folder.join("odd").display()), 0o755),
                "exists, but the loader or interpreter",
            ),
            (make("closed", "#!/bin/sh\n", 0o644), "chmod +x"),
            (folder.clone(), "it is a directory"),
            (make("within", "", 0o755).join("it"), "no directory"),
        ];
        for (path, word) in cases {
            let name = CString::new(path.as_os_str().as_bytes()).unwrap();
            // Not spawned: an emulated process does not learn that its child cannot run. Again after `ETXTBSY`: a process that
            // another test is starting holds the file open for writing for a moment.
            let error = std::iter::repeat_with(|| execv(&name, &[&name]).expect_err("it cannot run"))
                .find(|error| *error != Errno::ETXTBSY)
                .map(io::Error::from)
                .unwrap();
            let remedy = of(&path, &error);
            assert!(remedy.contains(word), "{}: {error}: {remedy:?}", path.display());
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn each_errno_has_a_remedy_of_its_own() {
        let of = |errno| of(Path::new("/bin/sh"), &io::Error::from_raw_os_error(errno));
        let errnos = [
            libc::ENOEXEC,
            libc::ETXTBSY,
            libc::ENOTDIR,
            libc::EAGAIN,
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOMEM,
        ];
        let mut remedies: Vec<_> = errnos.map(of).to_vec();
        remedies.sort();
        remedies.dedup();
        assert_eq!(remedies.len(), errnos.len());
        assert!(remedies.iter().all(|remedy| !remedy.is_empty()));
        assert_eq!(of(libc::EIO), "");
        // In a container it is seldom the user's limit.
        assert!(of(libc::EAGAIN).contains("cgroup"));
    }
}
