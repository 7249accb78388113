//! Files and folders by std.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(b"hello, world").unwrap();
    file.seek(SeekFrom::Start(7)).unwrap();
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "world");
    file.write_all_at(b"W", 7).unwrap();
    file.set_len(8).unwrap();
    file.sync_all().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"hello, W");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"!").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello, W!");
}

#[test]
fn what_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, [0; 5000]).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert!(found.is_file() && found.len() == 5000 && found.nlink() == 1);
    assert_eq!(found.permissions().mode() & 0o7777, 0o640);
    assert_eq!(found.ino(), File::open(&path).unwrap().metadata().unwrap().ino());
    assert!(found.modified().unwrap().elapsed().unwrap() < Duration::from_secs(60));
    symlink("file", folder.path().join("link")).unwrap();
    assert!(fs::symlink_metadata(folder.path().join("link")).unwrap().is_symlink());
    assert_eq!(fs::metadata(folder.path().join("link")).unwrap().len(), 5000);
    assert_eq!(fs::read_link(folder.path().join("link")).unwrap().to_str(), Some("file"));
    assert_eq!(fs::canonicalize(folder.path().join("link")).unwrap(), fs::canonicalize(&path).unwrap());
}

#[test]
fn times_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("file")).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 5000);
    let accessed = file.metadata().unwrap().accessed().unwrap();
    file.set_times(FileTimes::new().set_modified(then)).unwrap();
    let found = file.metadata().unwrap();
    assert_eq!(found.modified().unwrap(), then);
    // left alone: UTIME_OMIT is another number on the host
    assert_eq!(found.accessed().unwrap(), accessed);
}

#[test]
fn a_folder_lists_its_entries() {
    let folder = tempfile::tempdir().unwrap();
    let long = "l".repeat(255);
    for name in ["a", "b", &long] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    fs::create_dir(folder.path().join("below")).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.file_type().unwrap().is_dir()))
        .collect();
    names.sort();
    assert_eq!(names, [("a".into(), false), ("b".into(), false), ("below".into(), true), (long, false)]);
}

#[test]
fn files_move_link_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("one"), "1").unwrap();
    fs::hard_link(path("one"), path("two")).unwrap();
    fs::rename(path("one"), path("three")).unwrap();
    assert_eq!(fs::metadata(path("two")).unwrap().nlink(), 2);
    fs::copy(path("two"), path("four")).unwrap();
    fs::create_dir_all(path("deep/er/still")).unwrap();
    fs::write(path("deep/er/file"), "").unwrap();
    fs::remove_dir_all(path("deep")).unwrap();
    fs::remove_file(path("two")).unwrap();
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["four", "three"]);
}

/// nix has it not for Solaris, where it came with 11.4.
#[cfg(not(target_os = "solaris"))]
#[test]
fn a_locked_file_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let one = File::create(folder.path().join("file")).unwrap();
    let other = File::open(folder.path().join("file")).unwrap();
    let locked =
        nix::fcntl::Flock::lock(one, nix::fcntl::FlockArg::LockExclusive).map_err(|error| error.1).unwrap();
    let refused = nix::fcntl::Flock::lock(other, nix::fcntl::FlockArg::LockExclusiveNonblock);
    let (other, error) = refused.err().unwrap();
    assert_eq!(error, nix::errno::Errno::EAGAIN);
    drop(locked);
    assert!(nix::fcntl::Flock::lock(other, nix::fcntl::FlockArg::LockExclusiveNonblock).is_ok());
}
