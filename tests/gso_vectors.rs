//! The vectors of `tests/vectors/gso.jsonl` through the carve command, line by line, and lines that are no vectors.

#[path = "../examples/carve.rs"]
#[expect(dead_code, reason = "an example's main is not called here")]
mod carve;

use serde_json::{Value, json};

const VECTORS: &str = include_str!("vectors/gso.jsonl");

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
