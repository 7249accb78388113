//! A guest without a virtual machine: a small TCP/IP stack behind a network card, on a real TAP of this host.
//!
//! `cargo run --release --example guest` attaches a TAP in a network namespace of its own, has the host ping the guest
//! and fetch a page from it, prints what was counted, and detaches. `--help` lists what else it does.
//!
//! `card.rs` is what a hypervisor would write: a [`tap_plumb::Frontend`] with receive and transmit rings. The rest stands
//! for the guest (`stack.rs`, `web.rs`) and for its user on the host (`host.rs`, `echo.rs`).

mod arguments;
mod card;
mod echo;
mod elsewhere;
mod host;
mod linux;
mod machine;
mod stack;
mod table;
mod web;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, Sender};

use arguments::Arguments;
use machine::Machine;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tap_plumb::Tap;

/// What differs between systems; `linux.rs` and `elsewhere.rs` fill it in.
struct Os;

/// Why a running guest stops before its work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Event {
    /// Ctrl-C, or a polite kill.
    #[error("interrupted")]
    Interrupted,
    #[error("the interface was removed")]
    Gone,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(arguments) = Arguments::parse()? else { return Ok(()) };
    env_logger::Builder::new().filter_level(arguments.log_level()).format_timestamp(None).init();
    if arguments.is_private() {
        // A namespace is entered by one thread; all that are started from now on are in it too.
        Os::enter_private_namespace()?;
    }
    let (sender, events) = mpsc::channel();
    watch_signals(sender.clone())?;
    for cycle in 1..=arguments.cycles {
        if arguments.cycles > 1 {
            println!("cycle {cycle} of {}", arguments.cycles);
        }
        let tap = arguments.config()?.attach()?;
        println!("attached {}", name_of(&tap));
        if arguments.attach_only {
            hold(tap, &arguments, &events)?
        } else {
            work(tap, &arguments, &sender, &events)?
        }
        println!("detached");
        if events.try_recv() == Ok(Event::Interrupted) {
            return Err(Event::Interrupted.into());
        }
    }
    Ok(())
}

/// Turns the first signal into an event; a second one ends the process as usual.
fn watch_signals(events: Sender<Event>) -> Result<(), Box<dyn Error>> {
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&again))?;
        signal_hook::flag::register(signal, Arc::clone(&again))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || signals.forever().try_for_each(|_| events.send(Event::Interrupted)));
    Ok(())
}

fn name_of(tap: &Tap) -> String {
    tap.name().map_or_else(|_| "a descriptor without a name".into(), |name| name.to_string())
}

/// Has nothing but the interface.
fn hold(tap: Tap, arguments: &Arguments, events: &Receiver<Event>) -> Result<(), Box<dyn Error>> {
    if arguments.stay {
        println!("Ctrl-C detaches it");
        events.recv()?;
    }
    Ok(tap.detach()?)
}

/// Runs the guest, has it prove itself or waits, and shows what was counted.
fn work(
    tap: Tap,
    arguments: &Arguments,
    sender: &Sender<Event>,
    events: &Receiver<Event>,
) -> Result<(), Box<dyn Error>> {
    let guest = arguments.guest();
    let machine = Machine::start(tap, guest, sender.clone())?;
    let outcome = if arguments.stay {
        println!("{} answers ARP, ping and HTTP; Ctrl-C ends it", guest.address());
        wait(events)
    } else {
        host::prove(guest.address(), events)
    };
    let counted = machine.stop()?;
    counted.print();
    outcome?;
    Ok(counted.check()?)
}

fn wait(events: &Receiver<Event>) -> Result<(), Box<dyn Error>> {
    match events.recv()? {
        Event::Interrupted => Ok(()),
        gone => Err(gone.into()),
    }
}
