//! Whether the interface may, must or must not exist before.

use tap_plumb::{AttachError, Config};

use super::host::{exists, ip, vanishes};

pub(crate) fn either_takes_what_is_there_and_makes_what_is_not() {
    ip("tuntap add old0 mode tap");
    let old = Config::new().name("old0").attach().unwrap();
    let new = Config::new().name("new0").attach().unwrap();
    drop((old, new));
    assert!(exists("old0"), "a persistent interface outlives its descriptor");
    vanishes("new0");
}

pub(crate) fn must_exist_makes_nothing() {
    let error = Config::new().name("none0").must_exist().attach().unwrap_err();
    assert!(matches!(&error, AttachError::Missing { name } if name == "none0"), "{error}");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
    assert!(!exists("none0"));
    ip("tuntap add old0 mode tap");
    let tap = Config::new().name("old0").must_exist().attach().unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("old0"));
}

pub(crate) fn must_exist_needs_the_name_of_one_interface() {
    for config in [Config::new(), Config::new().name("tap%d")] {
        let error = config.must_exist().attach().unwrap_err();
        assert!(matches!(&error, AttachError::BadOption { option, .. } if option == "must_exist"), "{error}");
    }
}

pub(crate) fn exclusive_takes_nothing_that_is_there() {
    ip("tuntap add old0 mode tap");
    for name in ["old0", "lo"] {
        let error = Config::new().name(name).create_exclusive().attach().unwrap_err();
        assert!(matches!(error, AttachError::Exists { .. }), "{error}");
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
        let text = error.to_string();
        let error = std::io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (std::io::ErrorKind::ResourceBusy, text));
        let within = error.get_ref().and_then(|within| within.downcast_ref::<AttachError>());
        assert_eq!(within.and_then(AttachError::raw_os_error), Some(libc::EBUSY));
    }
    let queues = Config::new().name("new0").create_exclusive().attach_queues(3).unwrap();
    assert_eq!(queues.len(), 3);
    let any = Config::new().create_exclusive().attach().unwrap();
    assert_eq!(any.name().unwrap().as_str(), Some("tap0"));
}
