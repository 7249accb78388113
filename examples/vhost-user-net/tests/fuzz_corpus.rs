//! What the fuzzer has kept, replayed without a fuzzer: `fuzz/` needs a nightly compiler, this does not.

#[path = "../fuzz/src/chains.rs"]
mod chains;
#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;

#[test]
fn rings_of_any_kind_do_no_harm() {
    corpus::replay(include_str!("../fuzz/chains.corpus"), chains::chains);
}
