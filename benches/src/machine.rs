//! What the figures were measured on.

use std::fs;
use std::process::Command;

/// The peers that are crates; their versions are those of the lock file that this program was built from.
const CRATES: [&str; 3] = ["etherparse", "internet-checksum", "tun-rs"];
const LOCK: &str = include_str!("../Cargo.lock");

pub fn kernel() -> String {
    first_line("uname", &["-sr"])
}

pub fn date() -> String {
    first_line("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])
}

/// Processors and their model.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':']));
    format!("{} x {model}", models.len())
}

/// Every peer with its version.
pub fn peers() -> Vec<String> {
    let crates = CRATES.iter().map(|name| format!("{name} {}", locked(name).unwrap_or("unknown")));
    let programs = [
        first_line("iperf3", &["--version"]).split(" (").next().unwrap_or_default().to_owned(),
        first_line("strace", &["--version"]),
        first_line("rustc", &["--version"]),
    ];
    crates.chain(programs).collect()
}

fn locked(name: &str) -> Option<&'static str> {
    let (_, behind) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(behind.split_once('"')?.0)
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map_or(Vec::new(), |output| output.stdout);
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").to_owned()
}
