//! What the fuzzers have kept, replayed without a fuzzer: `fuzz/` needs a nightly compiler, this does not.

#[path = "../fuzz/src/carve.rs"]
mod carve;
#[path = "../fuzz/src/exercise.rs"]
mod exercise;
#[path = "../fuzz/src/virtio_header.rs"]
mod virtio_header;

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        run(&fs::read(&path).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", folder.display());
}

#[test]
fn b01_the_corpus_of_frames_and_contexts() {
    replay("carve", carve::carve);
}

#[test]
fn b16_the_corpus_of_virtio_headers() {
    replay("virtio_header", virtio_header::virtio_header);
}
