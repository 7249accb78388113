//! The daemon, from its command line to its end.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use tap_plumb::Backend;

use crate::arguments::{self, Arguments, HELP, Way};
use crate::features::offered;
use crate::interface::{self, Interface};
use crate::pair::Pair;
use crate::report;
use crate::revive::Reviver;
use crate::server::Service;
use crate::signals;
use crate::socket::Socket;
use crate::stop::Stop;
use crate::stream;

/// What a guest does wrong is counted. By default it is not logged frame by frame, so that a guest cannot fill the log.
const LOG: &str = "info";

/// Runs it with these arguments, the program's name left out.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(LOG)).init();
    let arguments = match arguments::read(arguments) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("tap-plumb-vhost-user: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tap-plumb-vhost-user: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (interface, taps) = interface::attach(arguments)?;
    let tap = taps[0].offload();
    let pairs: Result<Arc<[Pair]>, _> =
        taps.into_iter().enumerate().map(|(index, tap)| Pair::new(Backend::new(tap), index > 0)).collect();
    let pairs = pairs?;
    let (stop, reviver) = (Arc::new(Stop::new()?), Arc::new(Reviver::default()));
    signals::serve(Arc::clone(&pairs), Arc::clone(&stop))?;
    let service = Service {
        features: offered(arguments.offload.then_some(tap), pairs.len()),
        pairs: Arc::clone(&pairs),
        reviver: Arc::clone(&reviver),
        stop,
        once: arguments.once,
    };
    let served = thread::scope(|scope| {
        scope.spawn(|| {
            if !reviver.watch(&interface, &pairs) {
                log::error!("the descriptor's other end is closed, and cannot be opened again from here");
                service.stop.ask();
            }
        });
        let served = serve(arguments, &interface, &service);
        reviver.stop();
        served
    });
    report::statistics(&pairs);
    served
}

fn serve(arguments: &Arguments, interface: &Interface, service: &Service) -> Result<(), Box<dyn Error>> {
    let (Way::VhostUser(path) | Way::Stream(path)) = &arguments.way;
    let socket = Socket::listen(path)?;
    report::listening(&path.to_string_lossy(), interface.name(), service.pairs.len());
    match &arguments.way {
        Way::VhostUser(_) => Ok(service.run(&socket)?),
        Way::Stream(_) => {
            Ok(stream::run(&socket, &service.pairs[0], &service.reviver, &service.stop, service.once)?)
        }
    }
}
