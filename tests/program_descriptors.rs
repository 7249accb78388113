//! A program inherits standard input, output and error, and nothing else.

#[path = "support/programs.rs"]
mod programs;

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use programs::{Programs, attach_failure, named};

/// Opens a file without close-on-exec, as a process written in C may have done.
fn inheritable() -> File {
    let file = File::open("/dev/null").unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    file
}

/// Row B30.
#[test]
fn no_descriptor_of_this_process_reaches_a_program() {
    if !std::path::Path::new("/proc/self/fd").exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no /proc/self/fd");
        eprintln!("skipped: without /proc/self/fd nobody can list a program's descriptors");
        return;
    }
    let programs = Programs::new("descriptors");
    let files: Vec<File> = (0..40).map(|_| inheritable()).collect();
    let setup = programs.script("setup", "ls /proc/self/fd > \"$here/listed\"");
    attach_failure(named(setup));
    // The fourth is the folder that `ls` reads.
    assert_eq!(programs.text("listed"), "0\n1\n2\n3\n");
    for file in &files {
        assert_eq!(fcntl(file, FcntlArg::F_GETFD), Ok(0), "descriptor {} was changed here", file.as_raw_fd());
    }
}
