//! What std, libc and nix find on their system; one program, so that it is linked once.

mod descriptors;
mod errors;
mod files;
mod numbers;
mod processes;
mod sockets;
mod stopping;
mod surroundings;
mod threads;
