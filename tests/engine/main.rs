//! The engine over a socket pair: one datagram a frame, and the test holds the host's end.

mod device;
mod observed;
mod pair;
mod receive_frame;
mod receive_ways;
mod segments;
mod straight;
mod stress;
mod threads_receive;
mod transmit_buffer;
mod transmit_frame;
mod transmit_session;
mod unusual;
