//! The host's count of frames that nobody read in time.

use tap_plumb::{Backend, Config};

use super::host::ip;
use super::traffic::Host;

pub(crate) fn what_did_not_fit_in_the_queue_is_counted() {
    let backend = Backend::new(Config::new().name("drop0").attach().unwrap());
    assert_eq!(backend.statistics().dropped_by_host, Some(0));
    ip("link set drop0 txqueuelen 10");
    let host = Host::on("drop0");
    for _ in 0..50 {
        host.send(&[7; 10]);
    }
    assert_eq!(backend.statistics().dropped_by_host, Some(40));
    // Before Linux 6.2 an interface that is up has to keep its name.
    ip("link set drop0 down");
    ip("link set drop0 name other0");
    assert_eq!(backend.statistics().dropped_by_host, Some(40), "by its present name");
    ip("link del other0");
    assert_eq!(backend.statistics().dropped_by_host, None);
}
