//! Opening a link by its name, and closing a stream on it.

use crate::abi::Errno;
use crate::kernel::Kernel;
use crate::kernel::datalink::{DatalinkStream, LinkClass, LinkId};
use crate::kernel::stream::StreamId;

/// Where links have their names.
const FOLDER: &[u8] = b"/dev/net/";
/// Where a driver has its name, with or without a link's number behind it.
const DEVICES: &[(&[u8], LinkClass)] = &[(b"/dev/vnic", LinkClass::Vnic), (b"/dev/simnet", LinkClass::Nic)];

/// Whether a path is one of a data link, existing or not.
pub(crate) fn is_datalink(path: &[u8]) -> bool {
    path.starts_with(FOLDER) || device_of(path).is_some()
}

/// The driver a path names, and the number behind it.
fn device_of(path: &[u8]) -> Option<(LinkClass, Option<LinkId>)> {
    DEVICES.iter().find_map(|(device, class)| {
        let digits = std::str::from_utf8(path.strip_prefix(*device)?).ok()?;
        if digits.is_empty() { Some((*class, None)) } else { Some((*class, Some(digits.parse().ok()?))) }
    })
}

impl Kernel {
    /// What an open of a data link's path makes.
    pub(in crate::kernel) fn open_datalink(&self, path: &[u8]) -> Result<DatalinkStream, Errno> {
        let stream = match (path.strip_prefix(FOLDER), device_of(path)) {
            (Some(name), _) => self.stream_on(self.visible_link(name)?)?,
            (None, Some((class, None))) => DatalinkStream::new(class, None),
            (None, Some((class, Some(number)))) => {
                let stream = self.stream_on(number)?;
                if stream.class == class { stream } else { return Err(Errno::ENOENT) }
            }
            (None, None) => return Err(Errno::ENOENT),
        };
        if self.settings.privileges.net_rawaccess { Ok(stream) } else { Err(Errno::EACCES) }
    }

    fn stream_on(&self, link: LinkId) -> Result<DatalinkStream, Errno> {
        let class = self.link_of(link).ok_or(Errno::ENOENT)?.class;
        // An etherstub is a vnic over nothing to its driver.
        let driver = if class == LinkClass::Nic { LinkClass::Nic } else { LinkClass::Vnic };
        Ok(DatalinkStream::new(driver, Some(link)))
    }

    /// A zone sees its own links; the global zone sees all.
    fn visible_link(&self, name: &[u8]) -> Result<LinkId, Errno> {
        let id = self.link_named(std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?)?;
        let zone = self.settings.zone;
        let visible = self.link_of(id).is_some_and(|link| zone == 0 || link.zone == zone);
        if visible { Ok(id) } else { Err(Errno::ENOENT) }
    }

    /// Undoes everything the stream has done to its link, in whatever state it is.
    pub(in crate::kernel) fn close_datalink(&mut self, id: StreamId) {
        self.serve_stream(id);
        self.change_promiscuity(id, 0);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.datalink = None;
        }
    }
}
