//! Two TAPs in two namespaces with a forwarder between them, and TCP through it, made by iperf3.

mod contenders;
mod far;
mod relay;
mod traffic;

use contenders::Contender;
use far::Far;
use traffic::Server;

use crate::measure::{Comparison, Costs, alternate, least_of};
use crate::report::{Bound, Report, Unit};
use crate::rig::Outcome;

const ROUNDS: usize = 25;
/// Of each turn.
const TRIES: usize = 4;
const GIGABITS: Unit = Unit { name: "Gbit/s", of_cost: |seconds| 8.0 / seconds };
const CPU: Unit = Unit { name: "CPU-s/GB", of_cost: |seconds| seconds };
/// What is moved a run, with and without offload.
const MUCH: u64 = 128 << 20;
const LITTLE: u64 = 40 << 20;

/// Throughput and processor time of each contender, by its number.
type Results = Vec<[Costs; 2]>;

const OURS: usize = 0;
const TUN_RS: usize = 1;
const OURS_PLAIN: usize = 2;
const TUN_RS_PLAIN: usize = 3;
const SEED: usize = 4;

pub fn all(report: &mut Report) -> Outcome<()> {
    let far = Far::new()?;
    let contenders = [
        (contenders::ours_with_offload(&far, 200)?, MUCH),
        (contenders::tun_rs_with_offload(&far, 201)?, MUCH),
        (contenders::ours(&far, 202)?, LITTLE),
        (contenders::tun_rs(&far, 203)?, LITTLE),
        (contenders::seed(&far, 204)?, LITTLE),
    ];
    let server = Server::start(&far)?;
    let results = run(&contenders);
    drop(server);
    for (contender, _) in contenders {
        contender.stop()?;
    }
    tell(&results, report);
    Ok(())
}

fn run(contenders: &[(Contender, u64)]) -> Results {
    // Each has two turns a round, for its A/A pair; the seed is only shown.
    let slots = [TUN_RS, OURS, OURS_PLAIN, TUN_RS_PLAIN, SEED, TUN_RS_PLAIN, OURS_PLAIN, OURS, TUN_RS];
    alternate(ROUNDS, &slots, |at| {
        let (contender, bytes) = &contenders[at];
        least_of(TRIES, || traffic::run(contender, *bytes).unwrap_or_else(|error| panic!("{error}")))
    })
}

fn tell(results: &Results, report: &mut Report) {
    let pairs = [
        ("forward.offload", OURS, TUN_RS, "tun-rs-TUN-offload", Bound::AtLeast(1.0)),
        ("forward.plain", OURS_PLAIN, TUN_RS_PLAIN, "tun-rs-TAP", Bound::AtLeast(1.0)),
        ("forward.offload", OURS, SEED, "poll+read+write", Bound::None),
        ("forward.plain", OURS_PLAIN, SEED, "poll+read+write", Bound::None),
    ];
    for (name, subject, peer, peer_name, bound) in pairs {
        let [[time, processor], [peer_time, peer_processor]] =
            [subject, peer].map(|of| results[of].each_ref());
        let throughput = Comparison::of(time, peer_time, time).inverted();
        // How many frames a wake-up finds decides on the least processor time, and that is a matter of luck.
        let processor = Comparison::of_medians(processor, peer_processor, processor);
        report.line_in(GIGABITS, name, &throughput, 1, peer_name, bound);
        report.line_in(CPU, &format!("{name}.cpu"), &processor, 1, peer_name, Bound::None);
    }
}
