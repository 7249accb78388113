//! Left-over interfaces, whose maker linked them persistently and died, or which somebody plumbed and forgot.

use std::io;
use std::path::Path;

use super::abi::{I_PUNLINK, SIOCGLIFMUXID};
use super::ip::IpInterface;
use super::mux_link::{Mux, MuxId};
use super::name::TapName;
use super::{refusal, streams};
use crate::attach::AttachError;

/// Where the host's datalinks lie. ifconfig(8) looks for a name here before it takes it for a driver's.
const DATALINKS: &str = "/dev/net";

/// Unplumbs the interface `name`, when it is a TAP's and its links outlive their maker. The caller
/// owns the device, so that no other control stream can be its.
pub(super) fn unplumb(mux: &Mux, name: TapName) -> Result<(), AttachError> {
    refuse_datalink(name)?;
    let (ip, arp) = IpInterface { through: mux, name: name.text() }.mux_ids()?;
    let ip = MuxId::new(ip).ok_or_else(|| unusable(name, ip))?;
    // 0 says that there is no ARP stream; anything below would be every interface of the host.
    let arp = if arp == 0 { None } else { Some(MuxId::new(arp).ok_or_else(|| unusable(name, arp))?) };
    // IP is unlinked first, unlike in ifconfig(8). A living owner may have linked ARP alone persistently. The refusal then
    // comes before anything of that owner's is touched.
    for id in [Some(ip), arp].into_iter().flatten() {
        streams::unlink_persistent(&mux.fd, id).map_err(|source| refused(name, id, source))?;
    }
    Ok(())
}

/// A datalink can be named like a TAP, by dladm(8); its interface belongs to the host's network.
fn refuse_datalink(name: TapName) -> Result<(), AttachError> {
    match Path::new(DATALINKS).join(name.to_string()).symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(AttachError::WrongKind {
            name: name.to_string(),
            found: "the interface of that name belongs, or may belong, to a datalink of the host in /dev/net",
            remedy: "choose another name",
            source: None,
        }),
    }
}

fn unusable(name: TapName, id: i32) -> AttachError {
    refusal::mismatch(SIOCGLIFMUXID.name, format!("a muxid above 0 for the left-over {name}"), id)
}

fn refused(name: TapName, id: MuxId, source: io::Error) -> AttachError {
    let object = format!("the left-over {name}, muxid {}", id.number());
    if !refusal::is(&source, libc::EINVAL) {
        return refusal::of(I_PUNLINK, object)(source);
    }
    AttachError::Busy {
        name: name.to_string(),
        holder: format!("a process that still runs (I_PUNLINK of {object})"),
        source,
    }
}
