//! The scanner against `serde_json`: on a corpus, and on seeded mutations of it.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;

use super::*;
use crate::dice::Dice;

const CORPUS: &[&str] = &[
    r#"{"_key":"dev42","_timestamp":1700000000001,"value":21.5,"unit":"C","ok":true}"#,
    r#"{"a":{"_key":1,"b":[1,2,{"c":null}]},"_key":[1,[],{}],"_timestamp":"2023-11-14T22:13:20Z"}"#,
    r#" { "_timestamp" : -1.5e+10 , "x" : [ true , false , null , "" ] } "#,
    r#"{"\u005fkey":"\u00fc\ud83d\ude8b","_k\u0065y":"\"\\\/\b\f\n\r\t","z":0}"#,
    r#"{"_key":1,"_key":2,"_timestamp":{},"_timestamp":0.0e-0,"":{"":""}}"#,
    r#"{"numbers":[0,-0,1e5,1E-5,123456789012345678901234567890,0.1],"t":[[[[[[]]]]]],"o":{"a":{"b":{}}}}"#,
    r#"{"long string, more than one word of eight bytes":"another one that is rather long, too"}"#,
    "{}",
    "[]",
    "\t{\n\"\u{fc}\"\r:\"\u{1f68b}\"}\n",
];

/// A member's name as bytes: `serde_json` takes no lone surrogates in text, which is stricter than
/// JSON. In bytes it takes control characters, so the whole document is checked beside it.
#[derive(PartialEq, Eq, Hash)]
struct Name(Vec<u8>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }
            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(name.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// What `serde_json` finds: the texts of the two members.
fn reference(payload: &str) -> Option<[Option<&str>; 2]> {
    serde_json::from_str::<IgnoredAny>(payload).ok()?;
    let members: HashMap<Name, &RawValue> = serde_json::from_str(payload).ok()?;
    let text = |name: &str| members.get(&Name(name.into())).map(|value| value.get());
    Some([text("_key"), text("_timestamp")])
}

#[track_caller]
fn assert_agrees(payload: &str) -> bool {
    let found = Fields::of(payload.as_bytes())
        .map(|fields| [fields.key.map(Value::text), fields.timestamp.map(Value::text)]);
    let expected = reference(payload);
    assert_eq!(found, expected, "{payload:?}");
    for text in expected.into_iter().flatten().flatten() {
        if let Ok(string) = serde_json::from_str::<String>(text) {
            assert_eq!(Value(text).string().as_deref(), Some(&*string), "{payload:?}");
        }
    }
    expected.is_some()
}

#[test]
fn it_agrees_with_serde_json_on_the_corpus_and_all_its_prefixes() {
    for document in CORPUS {
        for end in (0..=document.len()).filter(|&end| document.is_char_boundary(end)) {
            assert_agrees(&document[..end]);
        }
    }
}

#[test]
fn it_agrees_with_serde_json_on_mutations() {
    const ALPHABET: &[u8] = b"{}[]\",:\\ \n\t\x0b\x01\x1f\x7f0123456789-+.eEu_kaeytrfnls/bdD8c";
    let mut random = Dice(0x9e37_79b9_7f4a_7c15);
    let mut valid = 0;
    for _ in 0..300_000 {
        let mut bytes = CORPUS[random.below(CORPUS.len())].as_bytes().to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            let byte = ALPHABET[random.below(ALPHABET.len())];
            match random.below(4) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {
                    let from = random.below(at + 1);
                    let part = bytes[from..at].to_vec();
                    let to = random.below(bytes.len());
                    bytes.splice(to..to, part);
                }
            }
        }
        match std::str::from_utf8(&bytes) {
            Ok(payload) => valid += usize::from(assert_agrees(payload)),
            // Only that nothing panics: serde_json looks at other bytes than we do.
            Err(_) => drop(Fields::of(&bytes)),
        }
    }
    assert!(valid > 50_000, "only {valid} mutations were valid: the test lost its edge");
}

#[test]
fn every_position_of_a_quote_escape_or_control_character_is_found() {
    for length in 0..40 {
        for at in 0..=length {
            for special in ["\"", "\\n", "\\", "\n", "\0", "\u{1f}", " ", "!", "\u{80}", "]"] {
                let (before, behind) = ("x".repeat(at), "y".repeat(length - at));
                assert_agrees(&format!("{{\"_key\":\"{before}{special}{behind}\"}}"));
                assert_agrees(&format!("{{\"{before}{special}{behind}\":0}}"));
            }
        }
    }
}
