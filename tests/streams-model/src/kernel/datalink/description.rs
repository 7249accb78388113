//! Links made from a text: for a program that is started with the machine it runs on, and cannot make them itself.

use crate::kernel::Kernel;
use crate::kernel::datalink::Mac;

impl Kernel {
    /// Makes links as a text describes them, in its order: `nic NAME ADDRESS [MTU]`, `etherstub NAME ADDRESS` and
    /// `vnic NAME OVER ADDRESS [VID]`, with semicolons between them.
    ///
    /// # Errors
    /// In words, at the first part that describes no link or whose link cannot be made.
    pub fn make_links(&mut self, text: &str) -> Result<(), String> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.into_iter().try_for_each(|part| self.make_link(part))
    }

    fn make_link(&mut self, part: &str) -> Result<(), String> {
        let no_link = || format!("\"{part}\" describes no link");
        let mac = |text: &str| mac_of(text).ok_or_else(no_link);
        let made = match part.split_whitespace().collect::<Vec<_>>()[..] {
            ["nic", name, address] => self.create_nic(name, mac(address)?),
            ["nic", name, address, mtu] => {
                let mtu = mtu.parse().map_err(|_| no_link())?;
                self.create_nic(name, mac(address)?).and_then(|()| self.set_link_mtu(name, mtu))
            }
            ["etherstub", name, address] => self.create_etherstub(name, mac(address)?),
            ["vnic", name, over, address] => self.create_vnic(name, over, mac(address)?, 0),
            ["vnic", name, over, address, vid] => {
                let vid = vid.parse().map_err(|_| no_link())?;
                self.create_vnic(name, over, mac(address)?, vid)
            }
            _ => return Err(no_link()),
        };
        made.map_err(|errno| format!("\"{part}\": {errno}"))
    }
}

/// Six hexadecimal bytes with colons between them.
fn mac_of(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}
