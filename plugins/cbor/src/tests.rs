//! The examples of RFC 8949, appendix A, and what RFC 8949, section 6.1, says of them.

use serde_json::json;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn json_of(hex: &str) -> Value {
    deserialize(&Message::new("t", bytes(hex))).expect("it is CBOR")
}

fn refused(hex: &str) -> String {
    deserialize(&Message::new("t", bytes(hex))).expect_err("it is not CBOR").to_string()
}

#[test]
fn numbers_text_and_containers_become_their_likes() {
    for (hex, expected) in [
        ("00", json!(0)),
        ("1864", json!(100)),
        ("1bffffffffffffffff", json!(18_446_744_073_709_551_615_u64)),
        ("20", json!(-1)),
        ("3903e7", json!(-1000)),
        ("3bffffffffffffffff", json!(-18_446_744_073_709_551_616.0)),
        ("f93e00", json!(1.5)),
        ("fa414b3333", json!(12.7)),
        ("fb3ff199999999999a", json!(1.1)),
        ("f5", json!(true)),
        ("f6", json!(null)),
        ("62c3bc", json!("\u{fc}")),
        ("7f657374726561646d696e67ff", json!("streaming")),
        ("83010203", json!([1, 2, 3])),
        ("9f018202039f0405ffff", json!([1, [2, 3], [4, 5]])),
        ("a26161016162820203", json!({"a": 1, "b": [2, 3]})),
        ("bf61610161629f0203ffff", json!({"a": 1, "b": [2, 3]})),
    ] {
        assert_eq!(json_of(hex), expected, "{hex}");
    }
}

#[test]
fn what_json_does_not_have_becomes_something_near() {
    for (hex, expected) in [
        ("f97e00", json!(null)),
        ("f97c00", json!(null)),
        ("faff800000", json!(null)),
        ("f7", json!(null)),
        ("f8ff", json!(null)),
        ("44fbff0102", json!("-_8BAg")),
        ("5f42fbff420102ff", json!("-_8BAg")),
        ("d644fbff0102", json!("+/8BAg==")),
        ("d74401020304", json!("01020304")),
        ("d681d541ff", json!(["_w"])),
        ("c249010000000000000000", json!("AQAAAAAAAAAA")),
        ("c349010000000000000000", json!("~AQAAAAAAAAAA")),
        ("c11a514b67b0", json!(1_363_896_240)),
        ("d9d9f7a0", json!({})),
        ("a4010220034101046103 05", json!({"1": 2, "-1": 3, "AQ": 4, "\u{3}": 5})),
    ] {
        assert_eq!(json_of(hex), expected, "{hex}");
    }
}

#[test]
fn what_is_not_one_cbor_item_is_a_bad_message() {
    for hex in
        ["", "18", "ff", "1c", "62c328", "61", "8201", "9f01", "a161", "a1616101ff", "5f01ff"]
    {
        assert!(!refused(hex).is_empty(), "{hex}");
    }
    assert_eq!(refused("0102"), "1 bytes follow the CBOR item");
    assert_eq!(refused("a2010161 3102"), "a CBOR map has the key \"1\" twice");
    // A list that says it has 2^64 - 1 items must not get room for them.
    assert!(refused("9bffffffffffffffff00").contains("end of input"));
    assert!(refused("5bffffffffffffffff00").contains("end of input"));
}

#[test]
fn deep_nesting_is_refused_and_survived() {
    let nested = |depth: usize| format!("{}00", "81".repeat(depth));
    assert!(json_of(&nested(DEPTH)).is_array());
    assert_eq!(refused(&nested(DEPTH + 1)), "CBOR is nested more than 128 times");
    assert!(refused(&"c1".repeat(100_000)).contains("nested"));
}
