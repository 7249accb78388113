//! Prints a C program that compares what `platform/illumos/abi.rs` says with the headers of the system that compiles it.
//! `ci/header-check` builds and runs both; nothing but the standard library is needed.

#[path = "../../../platform/illumos/abi.rs"]
mod abi;
mod list;
mod program;

fn main() {
    print!("{}", program::text(&list::facts()));
}
