//! The guest's software: smoltcp on the card, with a web server.

use std::sync::Arc;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, Ipv4Cidr};

use crate::card::{Card, GUEST_MAC};
use crate::web::Server;

/// Connections at a time, those that linger after their end included.
const SERVERS: usize = 32;
/// How soon a full transmit ring is looked at again, and the longest sleep.
const PATIENCE: Duration = Duration::from_millis(10);
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Answers ARP, ping and HTTP until the card is unplugged.
pub(crate) fn run(card: &Arc<Card>, address: Ipv4Cidr) {
    let mut port = Port { card: Arc::clone(card), max_frame_len: card.max_frame_len() };
    let hardware = EthernetAddress(GUEST_MAC).into();
    let mut interface = Interface::new(Config::new(hardware), &mut port, Instant::now());
    interface.update_ip_addrs(|addresses| addresses.push(address.into()).expect("room for one address"));
    let mut sockets = SocketSet::new(Vec::new());
    let mut servers: Vec<_> = (0..SERVERS).map(|_| Server::new(&mut sockets)).collect();
    loop {
        // Counted before the rings are looked at, so that what comes meanwhile ends the sleep.
        let seen = card.interrupts();
        interface.poll(Instant::now(), &mut port, &mut sockets);
        for server in &mut servers {
            server.serve(&mut sockets);
        }
        let delay = interface.poll_delay(Instant::now(), &sockets);
        let delay = delay.map_or(LONGEST_SLEEP, Into::into);
        let delay = if card.can_transmit() { delay } else { delay.max(PATIENCE) };
        if !card.sleep(seen, delay) {
            return;
        }
    }
}

/// The driver of the card.
struct Port {
    card: Arc<Card>,
    max_frame_len: usize,
}

/// A frame that was received.
struct Received(Vec<u8>);

/// Room in the transmit ring for one frame.
struct Room<'a>(&'a Card);

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Room<'_>)> {
        // Only with room for an answer: an echo request is answered at once or not at all.
        let room = self.card.can_transmit().then_some(Room(&self.card))?;
        Some((Received(self.card.take_received()?), room))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        self.card.can_transmit().then_some(Room(&self.card))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.max_frame_len;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.transmit(frame);
        result
    }
}
