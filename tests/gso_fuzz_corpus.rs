//! What the fuzzers have kept, replayed without a fuzzer: `fuzz/` needs a nightly compiler, this does not.

#[path = "../fuzz/src/carve.rs"]
mod carve;
#[path = "../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../fuzz/src/exercise.rs"]
mod exercise;
#[path = "../fuzz/src/virtio_header.rs"]
mod virtio_header;

/// Row B1.
#[test]
fn the_corpus_of_frames_and_contexts() {
    corpus::replay(include_str!("../fuzz/carve.corpus"), carve::carve);
}

/// Row B16.
#[test]
fn the_corpus_of_virtio_headers() {
    corpus::replay(include_str!("../fuzz/virtio_header.corpus"), virtio_header::virtio_header);
}

#[test]
fn a_corpus_is_read_line_by_line_with_names_or_without() {
    assert_eq!(corpus::parse("00\n01ff loop\n02\n").unwrap(), [vec![0], vec![1, 0xff], vec![2]]);
}

#[test]
fn a_line_that_is_no_input_is_named() {
    for line in ["0", "0g", "0A", "", " name", "00zz name", "é0"] {
        let fault = corpus::parse(&format!("00\n{line}\n")).unwrap_err();
        assert!(fault.starts_with("line 2 is not"), "{line:?}: {fault}");
    }
}

#[test]
fn inputs_are_sorted_and_none_is_there_twice() {
    for corpus in ["02\n01\n", "01 one\n01 two\n"] {
        assert!(corpus::parse(corpus).unwrap_err().starts_with("line 2 does not come after"));
    }
}
