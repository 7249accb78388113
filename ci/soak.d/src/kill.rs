//! A process that is killed with its interface, at any moment; another one attaches the same name after it.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::write;
use tap_plumb::{Backend, Config, Offload, Threads};

use crate::child::{Trials, assert_adds_up, try_ip, wait_until};
use crate::frames::Random;
use crate::traffic::{Guest, PacketSocket, Traffic};

const KILLS: u64 = 5;

pub(crate) struct Kill;

impl Trials for Kill {
    fn round(&mut self, random: &mut Random) -> u64 {
        for _ in 0..KILLS {
            kill_one(random);
            open_again(random);
        }
        KILLS
    }
}

fn kill_one(random: &mut Random) {
    let program = std::env::current_exe().expect("the path of this program");
    let mode = random.pick(&["none", "all"]);
    let mut victim =
        Command::new(program).args(["--victim", mode]).stdout(Stdio::piped()).spawn().expect("a victim");
    // Before, while or after it attaches.
    if random.one_in(2) {
        let mut line = String::new();
        BufReader::new(victim.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "the victim ended by itself");
    }
    sleep(Duration::from_micros(random.within(0, 8000) as u64));
    victim.kill().expect("a victim that lives");
    let status = victim.wait().expect("the end of the victim");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL), "{status}");
}

/// The name is free at once, and frames go both ways.
fn open_again(random: &mut Random) {
    let offload = random.pick(&[Offload::NONE, Offload::ALL]);
    let config = Config::new().name("soak0").create_exclusive().offload(offload).up();
    let backend = Arc::new(Backend::new(config.attach().expect("the interface after its owner was killed")));
    let guest = Arc::new(Guest::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&guest) as _).expect("two threads");
    let host = PacketSocket::new("soak0").expect("a packet socket");
    write(host.as_fd(), &[0xff; 60]).expect("a frame from the host");
    wait_until("a frame to the guest", || guest.delivered.load(Ordering::SeqCst) > 0);
    threads.stop().expect("the threads end");
    assert_adds_up(&backend);
    drop((threads, backend, host));
    assert!(try_ip("link show soak0").is_err(), "the interface outlives its owner");
}

/// Attaches, and moves frames until it is killed.
pub(crate) fn victim(mode: &str) -> ExitCode {
    let offload = if mode == "all" { Offload::ALL } else { Offload::NONE };
    let tap = Config::new().name("soak0").offload(offload).up().attach().expect("an interface");
    let backend = Arc::new(Backend::new(tap));
    let _threads = Threads::spawn(Arc::clone(&backend), Arc::new(Guest::default())).expect("two threads");
    let traffic = Traffic::start(&backend, 1);
    traffic.set_host(Some("soak0"));
    println!("ready");
    loop {
        sleep(Duration::from_secs(60));
    }
}
