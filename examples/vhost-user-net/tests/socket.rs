//! Whose the path of the socket is.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tap_plumb_vhost_user::socket::{ServeError, Socket};

/// A path in a folder of its own, which goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tap-plumb-socket-{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    fn lock(&self) -> PathBuf {
        self.0.join("s.lock")
    }

    fn entries(&self) -> usize {
        std::fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn is_refused(path: &Path) -> bool {
    matches!(Socket::listen(path), Err(ServeError::Listen { .. }))
}

#[test]
fn nothing_is_left_behind() {
    let place = Place::new("nothing");
    for _ in 0..2 {
        let socket = Socket::listen(&place.socket()).unwrap();
        assert_eq!(place.entries(), 2);
        drop(socket);
        assert_eq!(place.entries(), 0);
    }
}

/// Row V6.
#[test]
fn a_second_daemon_gives_way_and_does_not_call_the_first() {
    let place = Place::new("second");
    let socket = Socket::listen(&place.socket()).unwrap();
    assert!(matches!(Socket::listen(&place.socket()), Err(ServeError::Locked { .. })));
    let stop = tap_plumb_vhost_user::stop::Stop::new().unwrap();
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| socket.accept(&stop).unwrap().is_some());
        std::thread::sleep(std::time::Duration::from_millis(100));
        stop.ask();
        assert!(!accepted.join().unwrap(), "the first daemon was called");
    });
}

/// Row V6.
#[test]
fn a_socket_that_another_program_listens_at_is_an_error_and_is_not_called() {
    let place = Place::new("living");
    let theirs = UnixListener::bind(place.socket()).unwrap();
    theirs.set_nonblocking(true).unwrap();
    assert!(is_refused(&place.socket()));
    assert_eq!(theirs.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(place.entries(), 1);
}

#[test]
fn a_stale_socket_is_replaced() {
    let place = Place::new("stale");
    drop(UnixListener::bind(place.socket()).unwrap());
    // A process that was killed leaves its lock file, too, but not the lock.
    std::fs::write(place.lock(), "").unwrap();
    drop(Socket::listen(&place.socket()).unwrap());
    assert_eq!(place.entries(), 0);
}

#[test]
fn what_is_no_socket_is_not_ours_to_remove() {
    let place = Place::new("file");
    std::fs::write(place.socket(), "precious").unwrap();
    assert!(is_refused(&place.socket()));
    assert_eq!(std::fs::read(place.socket()).unwrap(), b"precious");
}

/// Row V6.
#[test]
fn a_newer_socket_at_the_path_stays() {
    let place = Place::new("newer");
    let ours = Socket::listen(&place.socket()).unwrap();
    std::fs::remove_file(place.socket()).unwrap();
    let _theirs = UnixListener::bind(place.socket()).unwrap();
    drop(ours);
    assert!(place.socket().exists());
}

/// Row V6.
#[test]
fn a_lock_that_is_no_file_is_an_error() {
    let place = Place::new("lock");
    symlink(place.0.join("elsewhere"), place.lock()).unwrap();
    assert!(is_refused(&place.socket()));
    assert!(!place.0.join("elsewhere").exists(), "a link was followed");
    std::fs::remove_file(place.lock()).unwrap();
    std::fs::create_dir(place.lock()).unwrap();
    assert!(is_refused(&place.socket()));
}
