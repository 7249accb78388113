//! Without a machine the interposed functions change nothing. One test, so that no other one boots a machine meanwhile.

use std::fs::File;

use streams_model::Machine;

streams_model::interpose!();

#[test]
fn only_a_booted_machine_has_the_devices() {
    let open =
        || File::options().read(true).write(true).open("/dev/udp").map(drop).map_err(|error| error.kind());
    assert_eq!(open(), Err(std::io::ErrorKind::NotFound));
    let machine = Machine::boot();
    assert_eq!(open(), Ok(()));
    machine.finish();
    assert_eq!(open(), Err(std::io::ErrorKind::NotFound));
}
