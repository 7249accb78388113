//! What the observer did without a line of its own. The record is a selection of calls; these are the ones it leaves
//! out, read off from what the lines around them show.

use std::time::Duration;

use streams_model::abi::{self, I_LINK, IFF_IPV6};
use streams_model::{DEFAULT_MAC, Outcome};

use super::Replay;
use super::line::Line;
use crate::guest::{arp_request, echo_request};

const GUEST: [u8; 4] = [10, 77, 0, 2];
const HOST: [u8; 4] = [10, 77, 0, 1];

impl Replay {
    /// Does what was done before this line.
    pub(super) fn hidden_steps(&mut self, line: &Line) {
        if line.call == "SIOCSLIFFLAGS" && line.argument_number("flags").is_some_and(|flags| flags & 1 != 0) {
            let name = line.argument("name").unwrap_or_default();
            self.give_address(line.fd(0), name);
        }
        match (line.case.as_str(), line.step.as_str(), line.call.as_str()) {
            ("A.host-traffic", _, "putmsg O_T_BIND_REQ") => {
                self.caller.open("/dev/udp", abi::O_RDWR | abi::O_NONBLOCK);
            }
            // The observer looked at the frames of every interval before going on.
            ("A.traffic-during-dad", _, "write") => drop(self.caller.drain(self.last_control)),
            ("B.reattach-after-destructor", "destructor", "close") if line.fd(0) == 4 => {
                self.caller.plumb("tap0", 0, I_LINK);
            }
            ("C.names", _, "open" | "(state)") => {
                self.close(5);
            }
            ("C.names", _, "SIOCSLIFNAME") => {
                self.caller.push(5, "ip");
            }
            ("C.punlink-all", "v6 of tap1 under udp6", "I_PLINK") => {
                self.caller.must_open("/dev/udp6");
                self.caller.ip_stream("tap1", 1, IFF_IPV6);
            }
            ("C.A-left-open", "11", "(20 s pass, frames drained)") => self.link_leaving_arp_open(),
            ("C.detach-with-queued-frames", _, "I_UNLINK") if line.last_number() == 2 => {
                self.queue_twenty_replies()
            }
            ("D.v4-and-v6", "setup", "SIOCGLIFFLAGS") => {
                let mux = self.caller.must_open("/dev/udp6");
                let ip = self.caller.ip_stream("tap0", 0, IFF_IPV6);
                self.caller.ioctl(mux, I_LINK, i64::from(ip));
                self.close(ip);
            }
            _ => {}
        }
    }

    /// Bringing an interface up, the observer gave it an address when it had none and the case is not about that.
    fn give_address(&mut self, mux: i32, name: &str) {
        let states = self.caller.kernel.interface_states();
        let blank = states.iter().any(|state| state.name == name && state.address == [0; 4]);
        if blank && !self.address_given {
            let address = if name == "tap1" { [10, 78, 0, 1] } else { HOST };
            self.caller.set_address(mux, name, address);
        }
    }

    fn link_leaving_arp_open(&mut self) {
        for lower in [5, 6] {
            self.caller.ioctl(3, I_LINK, lower);
        }
        self.close(5);
        self.caller.set_address(3, "tap0", HOST);
        assert_eq!(self.caller.set_up(3, "tap0", true), Outcome::Done(0));
    }

    fn queue_twenty_replies(&mut self) {
        self.caller.kernel.advance(Duration::ZERO);
        self.caller.write(self.last_control, &arp_request(GUEST, HOST));
        self.caller.drain(self.last_control);
        for _ in 0..20 {
            self.caller.write(self.last_control, &echo_request(DEFAULT_MAC, GUEST, HOST, 98));
        }
    }
}
