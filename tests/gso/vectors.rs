//! Frames that are kept in files: the vectors, and what the fuzzers found.

#[path = "../../examples/carve.rs"]
#[expect(dead_code, reason = "an example's main is not called here")]
mod carve;
#[path = "../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../fuzz/src/exercise.rs"]
mod exercise;
#[path = "../../fuzz/src/carve.rs"]
mod fuzz_carve;
#[path = "../../fuzz/src/virtio_header.rs"]
mod virtio_header;

use serde_json::{Value, json};

// The vectors of `tests/vectors/gso.jsonl` through the carve command, line by line, and lines that are no vectors.

const VECTORS: &str = include_str!("../vectors/gso.jsonl");

fn answer(line: &[u8]) -> Value {
    serde_json::to_value(carve::answer(line)).unwrap()
}

/// What stands in a vector as the right answer, under the name that the answer gives it.
fn expected(vector: &Value) -> (&'static str, Value) {
    for key in ["segments", "completed", "valid"] {
        if let Some(value) = vector.get(key) {
            return (key, value.clone());
        }
    }
    panic!("a vector without an answer: {vector}");
}

/// Rows D1, D11, F7, F8.
#[test]
fn every_vector_comes_out_right() {
    let mut cases = std::collections::BTreeMap::<String, usize>::new();
    for line in VECTORS.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let answer = answer(line.as_bytes());
        let (key, value) = expected(&vector);
        assert_eq!(answer["name"], vector["name"]);
        assert_eq!(answer[key], value, "{}: {}", vector["name"], vector["why"]);
        *cases.entry(vector["case"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let kinds: Vec<&str> = cases.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["carve", "carve-virtio", "complete", "reject-content", "validate"]);
}

#[test]
fn a_line_that_is_no_vector_gives_an_error_line() {
    let bad = [
        "",
        "{",
        "[]",
        "7",
        "{}",
        r#"{"name":"a"}"#,
        r#"{"name":"a","frame":"0"}"#,
        r#"{"name":"a","frame":"0x","virtio_net_hdr":""}"#,
        r#"{"name":"a","frame":"é","virtio_net_hdr":""}"#,
        r#"{"name":"a","frame":"","virtio_net_hdr":""}"#,
        r#"{"name":"a","frame":"00","virtio_net_hdr":"0101"}"#,
        r#"{"name":"a","frame_len":9}"#,
        r#"{"name":"a","frame_len":-1,"gso":{"kind":"tcp4","network_offset":14,"transport_offset":34,"header_len":54,"segment_size":1}}"#,
        r#"{"name":"a","frame":"","gso":{"kind":"tcp4","network_offset":14,"transport_offset":34,"header_len":70000,"segment_size":1}}"#,
        r#"{"name":"a","frame":"","gso":{"kind":"sctp","network_offset":14,"transport_offset":34,"header_len":54,"segment_size":1}}"#,
    ];
    for line in bad {
        let answer = answer(line.as_bytes());
        assert!(answer["error"].as_str().is_some_and(|text| !text.is_empty()), "{line}: {answer}");
        assert!(answer.get("segments").is_none());
    }
    assert!(answer(b"\xff\xfe")["error"].is_string());
    assert_eq!(answer(br#"{"name":"b","frame":7}"#)["name"], json!("b"), "the name survives a bad field");
}

#[test]
fn a_frame_with_an_unfinished_checksum_alone_is_one_segment() {
    let line = format!(
        r#"{{"name":"partial","virtio_net_hdr":"01000000000022000600","frame":"{}{}"}}"#,
        "00".repeat(34),
        "0102030405060000ffff"
    );
    let sum: u16 = 0x0102 + 0x0304 + 0x0506;
    let segment = format!("{}010203040506{:04x}ffff", "00".repeat(34), !sum);
    assert_eq!(answer(line.as_bytes())["segments"], json!([segment]));
}

// What the fuzzers have kept, replayed without a fuzzer: `fuzz/` needs a nightly compiler, this does not.

/// Row B1.
#[test]
fn the_corpus_of_frames_and_contexts() {
    corpus::replay(include_str!("../../fuzz/carve.corpus"), fuzz_carve::carve);
}

/// Row B16.
#[test]
fn the_corpus_of_virtio_headers() {
    corpus::replay(include_str!("../../fuzz/virtio_header.corpus"), virtio_header::virtio_header);
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
