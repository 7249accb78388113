//! What happens to an interface while frames go both ways: each fault, then the laws, then frames again.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use tap_plumb::{Backend, Config, LinkState, Offload, Resume, Tap, Threads};

use crate::child::{self, Trials, assert_adds_up, assert_idle, ip, wait_until};
use crate::frames::Random;
use crate::traffic::{Guest, Traffic};

/// Faults to one interface before the next one is attached.
const FAULTS: u64 = 25;

pub(crate) struct Faults;

impl Trials for Faults {
    fn round(&mut self, random: &mut Random) -> u64 {
        let mut machine = Machine::new(random);
        for _ in 0..FAULTS {
            let (name, fault) = random.pick(KINDS);
            fault(&mut machine, random);
            machine.check(name, random);
        }
        machine.end();
        FAULTS
    }
}

/// A host with one interface, and a guest on it.
struct Machine {
    offload: Offload,
    name: String,
    backend: Arc<Backend>,
    guest: Arc<Guest>,
    threads: Threads,
    traffic: Traffic,
    /// The second queue, which is off; gone with the first interface.
    spare: Option<Tap>,
    removals: u64,
}

type Fault = fn(&mut Machine, &mut Random);

const KINDS: &[(&str, Fault)] = &[
    ("removal", Machine::remove),
    ("down and up", Machine::down_and_up),
    ("rename", Machine::rename),
    ("MTU", Machine::change_mtu),
    ("another namespace", Machine::move_away_and_back),
    ("carrier", Machine::change_carrier),
    ("addresses", Machine::change_addresses),
    ("queue off and on", Machine::change_queues),
    ("attach again", |machine, _| machine.reattach()),
    ("suspend and resume", Machine::suspend_and_resume),
    ("reset", |machine, random| machine.reset(random)),
    ("offloads", Machine::change_offloads),
];

impl Machine {
    fn new(random: &mut Random) -> Self {
        let offload = random.pick(&[Offload::NONE, Offload::ALL]);
        let queues = random.pick(&[1, 2]);
        let config = Config::new().name("soak0").offload(offload).up();
        let mut taps = config.attach_queues(queues).expect("an interface");
        let spare = (taps.len() > 1).then(|| taps.remove(1));
        if let Some(spare) = &spare {
            spare.set_queue_enabled(false).expect("the second queue off");
        }
        let backend = Arc::new(Backend::new(taps.remove(0)));
        let guest = Arc::new(Guest::default());
        guest.refuses.store(random.pick(&[0, 0, 3]), Ordering::SeqCst);
        let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&guest) as _).expect("two threads");
        let traffic = Traffic::start(&backend, random.next());
        traffic.set_host(Some("soak0"));
        let offload = backend.tap().offload();
        Self { offload, name: "soak0".into(), backend, guest, threads, traffic, spare, removals: 0 }
    }

    /// Frames go both ways; then, in a pause, the sums hold, the threads sleep, and every removal was told once.
    fn check(&self, fault: &str, random: &mut Random) {
        let sent = || self.backend.statistics().transmit.frames_sent;
        let delivered = || self.guest.delivered.load(Ordering::SeqCst);
        let before = (sent(), delivered());
        wait_until(&format!("a frame to the host after {fault}"), || sent() > before.0);
        wait_until(&format!("a frame to the guest after {fault}"), || delivered() > before.1);
        let quiet = self.traffic.quiet();
        assert_adds_up(&self.backend);
        if random.one_in(3) {
            assert_idle(&self.guest.threads());
        }
        drop(quiet);
        assert_eq!(self.guest.gone.load(Ordering::SeqCst), self.removals, "removals told, after {fault}");
    }

    fn end(self) {
        let Self { backend, guest, threads, traffic, spare, .. } = self;
        drop(traffic);
        threads.stop().expect("the threads end");
        assert_adds_up(&backend);
        drop((threads, spare));
        assert_eq!((Arc::strong_count(&backend), Arc::strong_count(&guest)), (1, 1), "references left");
        drop(backend);
        wait_until("the end of the interface", || child::try_ip("link show soak0").is_err());
    }

    fn remove(&mut self, _: &mut Random) {
        ip(&format!("link del {}", self.name));
        self.removals += 1;
        wait_until("the event", || self.guest.gone.load(Ordering::SeqCst) == self.removals);
        self.spare = None;
        self.reattach();
    }

    fn reattach(&mut self) {
        let flaps = self.guest.flaps.load(Ordering::SeqCst);
        let config = Config::new().name(&self.name).offload(self.offload).up();
        self.backend.reattach(&config).expect("the interface again");
        wait_until("the link flap", || self.guest.flaps.load(Ordering::SeqCst) > flaps);
        self.traffic.set_host(Some(&self.name));
    }

    fn down_and_up(&mut self, random: &mut Random) {
        self.backend.tap().set_up(false).expect("down");
        pause(random);
        ip(&format!("link set {} up", self.name));
    }

    fn rename(&mut self, random: &mut Random) {
        let other = format!("soak{}", random.within(1, 999));
        if other == self.name {
            return;
        }
        // A kernel that renames no interface that is up is asked the other way.
        if child::try_ip(&format!("link set {} name {other}", self.name)).is_err() {
            ip(&format!("link set {} down", self.name));
            ip(&format!("link set {} name {other}", self.name));
            ip(&format!("link set {other} up"));
        }
        self.name = other;
        let found = self.backend.tap().name().expect("a name");
        assert_eq!(found.as_str(), Some(self.name.as_str()));
    }

    fn change_mtu(&mut self, random: &mut Random) {
        for _ in 0..random.within(1, 3) {
            let mtu = random.pick(&[68, 1500, 9000, 65521, 68 + (random.0 % 65454) as u32]);
            self.backend.tap().set_mtu(mtu).expect("an MTU of 68 to 65521");
            assert_eq!(self.backend.tap().mtu().expect("the MTU"), mtu);
            if random.one_in(2) {
                self.backend.refresh_mtu();
            }
            pause(random);
        }
        // The host sends what is longer than the MTU to nobody.
        self.backend.tap().set_mtu(1500).expect("the usual MTU");
    }

    fn move_away_and_back(&mut self, random: &mut Random) {
        let elsewhere = Elsewhere::new();
        ip(&format!("link set {} netns {}", self.name, elsewhere.0.id()));
        pause(random);
        elsewhere.ip(&format!("link set {} netns {}", self.name, std::process::id()));
        ip(&format!("link set {} up", self.name));
        self.traffic.set_host(Some(&self.name));
    }

    fn change_carrier(&mut self, random: &mut Random) {
        for _ in 0..random.within(1, 20) {
            self.backend.set_link_state(random.pick(&[LinkState::Up, LinkState::Down]));
            if random.one_in(4) {
                pause(random);
            }
        }
        self.backend.set_link_state(LinkState::Up);
        wait_until("carrier", || !ip(&format!("link show {}", self.name)).contains("NO-CARRIER"));
    }

    fn change_addresses(&mut self, random: &mut Random) {
        let address = format!("10.{}.{}.1", random.within(0, 255), random.within(0, 255));
        let prefix = random.within(8, 32) as u8;
        let parsed = address.parse().expect("an address");
        self.backend.tap().set_address(parsed, prefix).expect("an address");
        self.backend.tap().set_address(parsed, prefix).expect("the same again");
        assert!(ip(&format!("addr show {}", self.name)).contains(&format!("{address}/{prefix}")));
        ip(&format!("addr del {address}/{prefix} dev {}", self.name));
    }

    fn change_queues(&mut self, random: &mut Random) {
        let Some(spare) = &self.spare else { return };
        for _ in 0..random.within(1, 3) {
            spare.set_queue_enabled(random.one_in(2)).expect("the second queue");
            self.backend.tap().set_queue_enabled(false).expect("the queue off");
            pause(random);
            self.backend.tap().set_queue_enabled(true).expect("the queue on");
        }
        spare.set_queue_enabled(false).expect("the second queue off");
    }

    fn suspend_and_resume(&mut self, random: &mut Random) {
        self.threads.suspend().expect("both threads stand still");
        let delivered = self.guest.delivered.load(Ordering::SeqCst);
        pause(random);
        assert_eq!(self.guest.delivered.load(Ordering::SeqCst), delivered, "frames for a suspended guest");
        let resume = random.pick(&[Resume::Normal, Resume::HostSleep, Resume::Migrated]);
        self.threads.resume(resume).expect("both threads run");
    }

    fn reset(&mut self, random: &mut Random) {
        self.guest.starved.store(true, Ordering::SeqCst);
        pause(random);
        self.threads.reset();
        self.guest.starved.store(false, Ordering::SeqCst);
    }

    fn change_offloads(&mut self, random: &mut Random) {
        self.backend.use_host_offload(random.one_in(2));
        let mut wanted = self.offload;
        for flag in [&mut wanted.checksum, &mut wanted.tcp4, &mut wanted.tcp6, &mut wanted.udp] {
            *flag &= random.one_in(2);
        }
        self.backend.set_offload(wanted).expect("other offloads");
        self.backend.set_offload(self.offload).expect("the offloads of before");
    }
}

/// Lets frames meet the fault.
fn pause(random: &mut Random) {
    sleep(Duration::from_micros(random.within(0, 3000) as u64));
}

/// A process that only sleeps in a network namespace of its own.
struct Elsewhere(Child);

impl Elsewhere {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        let child = command.args(["-n", "sleep", "60"]).stdin(Stdio::null()).spawn().expect("unshare");
        let id = child.id();
        let here = std::fs::read_link("/proc/self/ns/net").expect("procfs");
        let link = format!("/proc/{id}/ns/net");
        wait_until("another namespace", || std::fs::read_link(&link).is_ok_and(|there| there != here));
        Self(child)
    }

    fn ip(&self, words: &str) {
        let target = format!("-t{}", self.0.id());
        let status = Command::new("nsenter").args([&target, "-n", "ip"]).args(words.split(' ')).status();
        assert!(status.expect("nsenter").success(), "ip {words} elsewhere");
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // It sleeps until then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
