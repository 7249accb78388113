//! The engine over a socket pair: one datagram a frame, and the test holds the host's end.

#[path = "../support/datagrams.rs"]
mod datagrams;

mod device;
mod observed;
mod pair;
mod receive_forms;
mod receive_frame;
mod segments;
mod straight;
mod threads_callbacks;
mod threads_gone;
mod threads_receive;
mod transmit_frame;
mod transmit_session;
mod unusual;
