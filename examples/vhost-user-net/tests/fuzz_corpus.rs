//! What the fuzzer has kept, replayed without a fuzzer: `fuzz/` needs a nightly compiler, this does not.

#[path = "../fuzz/src/chains.rs"]
mod chains;

use std::fs;
use std::path::Path;

#[test]
fn rings_of_any_kind_do_no_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/chains");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        chains::chains(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 10, "the corpus is there");
}
