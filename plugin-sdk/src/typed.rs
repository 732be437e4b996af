//! The typed interfaces of `wit/plugin.wit` as they lie in a plugin's memory (the component
//! model's canonical ABI, 32 bits): the record that a message comes in, and the results that
//! answers go out in. Only layouts; `abi` follows the pointers.

use std::mem::MaybeUninit;

use crate::answers::tag;

/// `list<T>` and `string`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawList {
    pub at: u32,
    pub len: u32,
}

/// `option<T>`.
#[repr(C)]
pub struct RawOption<T> {
    pub is_some: u8,
    /// Only written where there is one.
    pub value: MaybeUninit<T>,
}

/// `tuple<string, string>`.
#[repr(C)]
pub struct RawPair {
    pub name: RawList,
    pub value: RawList,
}

/// The record `properties`.
#[repr(C)]
pub struct RawProperties {
    pub payload_format: RawOption<u8>,
    pub message_expiry_secs: RawOption<u32>,
    pub content_type: RawOption<RawList>,
    pub response_topic: RawOption<RawList>,
    pub correlation_data: RawOption<RawList>,
    pub user_properties: RawList,
}

/// The record `message`. It has too many fields for parameters, so it comes as a pointer.
#[repr(C)]
pub struct RawMessage {
    pub topic: RawList,
    pub payload: RawList,
    pub qos: u8,
    pub retain: u8,
    pub dup: u8,
    pub packet_id: RawOption<u16>,
    pub received_at_ms: i64,
    pub properties: RawOption<RawProperties>,
    pub json: RawOption<RawList>,
}

/// The largest result of an export, in words of 32 bits.
pub type RawResult = [u32; 6];

/// `result<bytes-outcome, plugin-error>` of one packed answer that lies at an address.
pub fn bytes_result(answer: &[u8], at: u32) -> RawResult {
    let (kind, text) = sized(answer, at);
    match kind {
        tag::BAD_MESSAGE => [1, 0, text.at, text.len, 0, 0],
        tag::FATAL => [1, 1, text.at, text.len, 0, 0],
        // The cases of `bytes-outcome` have the numbers of the packed answers.
        kind => [0, kind.into(), text.at, text.len, 0, 0],
    }
}

/// `result<json-outcome, plugin-error>` of one packed answer that lies at an address.
pub fn json_result(answer: &[u8], at: u32) -> RawResult {
    const DEFAULT: u32 = 0;
    const JSON: u32 = 1;
    const SKIP: u32 = 2;
    let (kind, text) = sized(answer, at);
    match kind {
        tag::BYTES => [0, JSON, text.at, text.len, 0, 0],
        tag::SKIP => [0, SKIP, text.at, text.len, 0, 0],
        tag::BAD_MESSAGE | tag::FATAL => bytes_result(answer, at),
        _ => [0, DEFAULT, 0, 0, 0, 0],
    }
}

/// `result<_, string>` of the packed answer of an init function that lies at an address.
pub fn init_result(answer: &[u8], at: u32) -> RawResult {
    let (kind, text) = sized(answer, at);
    match kind {
        tag::BAD_MESSAGE | tag::FATAL => [1, text.at, text.len, 0, 0, 0],
        _ => [0; 6],
    }
}

/// `hook-outcome` of the packed answer of a hook that lies at an address.
pub fn hook_outcome(answer: &[u8], at: u32) -> RawResult {
    let (kind, text) = sized(answer, at);
    match kind {
        tag::SKIP => [1, text.at, text.len, 0, 0, 0],
        _ => [0; 6],
    }
}

/// `result<time-outcome, plugin-error>` of one packed answer that lies at an address.
pub fn time_result(answer: &[u8], at: u32) -> RawResult {
    const DEFAULT: u32 = 0;
    const EPOCH_MS: u32 = 1;
    const SKIP: u32 = 2;
    let (kind, text) = sized(answer, at);
    match kind {
        tag::EPOCH_MS => {
            // Here the number stands where other answers have their size and text.
            let number = answer[1..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            [0, 0, EPOCH_MS, 0, number as u32, (number >> 32) as u32]
        }
        tag::SKIP => [0, 0, SKIP, 0, text.at, text.len],
        tag::BAD_MESSAGE => [1, 0, 0, text.at, text.len, 0],
        tag::FATAL => [1, 0, 1, text.at, text.len, 0],
        _ => [0, 0, DEFAULT, 0, 0, 0],
    }
}

/// Which answer it is, and the bytes that belong to it.
fn sized(answer: &[u8], at: u32) -> (u8, RawList) {
    let (kind, size) = match answer {
        [kind, a, b, c, d, ..] => (*kind, u32::from_le_bytes([*a, *b, *c, *d])),
        _ => (answer.first().copied().unwrap_or(tag::DEFAULT), 0),
    };
    (kind, RawList { at: at + 5, len: size })
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind};

    use super::*;
    use crate::answers::Answers;
    use crate::{
        Error, Hook, IntoHook, IntoInit, IntoJson, IntoKey, IntoTimestamp, Json, Key, Timestamp,
    };

    /// What `wit-parser` makes of the contract.
    struct Contract {
        resolve: Resolve,
        sizes: SizeAlign,
    }

    impl Contract {
        fn read() -> Self {
            let mut resolve = Resolve::default();
            resolve
                .push_file(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/plugin.wit"))
                .expect("the contract is valid WIT");
            let mut sizes = SizeAlign::default();
            sizes.fill(&resolve);
            Self { resolve, sizes }
        }

        fn kind(&self, name: &str) -> (Type, &TypeDefKind) {
            let found = self.resolve.types.iter().find(|(_, def)| {
                def.name.as_deref() == Some(name) && !matches!(def.kind, TypeDefKind::Type(_))
            });
            let (id, def) = found.expect("the contract has this type");
            (Type::Id(id), &def.kind)
        }

        fn size(&self, name: &str) -> usize {
            self.sizes.size(&self.kind(name).0).size_wasm32()
        }

        fn offsets(&self, record: &str) -> Vec<usize> {
            let TypeDefKind::Record(record) = self.kind(record).1 else {
                panic!("{record} is no record");
            };
            let fields = record.fields.iter().map(|field| &field.ty);
            let offsets = self.sizes.field_offsets(fields);
            offsets.iter().map(|(offset, _)| offset.size_wasm32()).collect()
        }

        fn cases(&self, variant: &str) -> Vec<&str> {
            let TypeDefKind::Variant(variant) = self.kind(variant).1 else {
                panic!("{variant} is no variant");
            };
            variant.cases.iter().map(|case| case.name.as_str()).collect()
        }
    }

    #[test]
    fn a_message_lies_in_memory_as_the_contract_says() {
        let contract = Contract::read();
        let message = [
            offset_of!(RawMessage, topic),
            offset_of!(RawMessage, payload),
            offset_of!(RawMessage, qos),
            offset_of!(RawMessage, retain),
            offset_of!(RawMessage, dup),
            offset_of!(RawMessage, packet_id),
            offset_of!(RawMessage, received_at_ms),
            offset_of!(RawMessage, properties),
            offset_of!(RawMessage, json),
        ];
        assert_eq!(contract.offsets("message"), message);
        assert_eq!(contract.size("message"), size_of::<RawMessage>());
        let properties = [
            offset_of!(RawProperties, payload_format),
            offset_of!(RawProperties, message_expiry_secs),
            offset_of!(RawProperties, content_type),
            offset_of!(RawProperties, response_topic),
            offset_of!(RawProperties, correlation_data),
            offset_of!(RawProperties, user_properties),
        ];
        assert_eq!(contract.offsets("properties"), properties);
        assert_eq!(contract.size("properties"), size_of::<RawProperties>());
        // A tuple of two strings, whose offsets need no table.
        assert_eq!((offset_of!(RawPair, name), offset_of!(RawPair, value)), (0, 8));
        assert_eq!(size_of::<RawPair>(), 16);
    }

    #[test]
    fn results_lie_in_memory_as_the_contract_says() {
        let contract = Contract::read();
        // What the numbers in `bytes_result` and `time_result` mean.
        assert_eq!(contract.cases("bytes-outcome"), ["default", "null", "bytes", "skip"]);
        assert_eq!(contract.cases("time-outcome"), ["default", "epoch-ms", "skip"]);
        assert_eq!(contract.cases("json-outcome"), ["default", "json", "skip"]);
        assert_eq!(contract.cases("plugin-error"), ["bad-message", "fatal"]);
        assert_eq!(contract.cases("hook-outcome"), ["go-on", "stop"]);
        assert_eq!((contract.size("json-outcome"), contract.size("hook-outcome")), (12, 12));
        // A result aligns its payload like the larger of its two sides: 4 and 8 bytes.
        assert_eq!((contract.size("bytes-outcome"), contract.size("plugin-error")), (12, 12));
        assert_eq!(contract.size("time-outcome"), 16);
        assert_eq!(size_of::<RawResult>(), 8 + 16);
    }

    fn bytes(answer: impl IntoKey) -> RawResult {
        let mut answers = Answers::new();
        answer.write(&mut answers);
        bytes_result(answers.as_bytes(), 1000)
    }

    fn time(answer: impl IntoTimestamp) -> RawResult {
        let mut answers = Answers::new();
        answer.write(&mut answers);
        time_result(answers.as_bytes(), 1000)
    }

    #[test]
    fn an_answer_of_bytes_becomes_a_result() {
        assert_eq!(bytes("abc"), [0, 2, 1005, 3, 0, 0]);
        assert_eq!(bytes(Key::Skip("ab".into())), [0, 3, 1005, 2, 0, 0]);
        assert_eq!(bytes(Key::Null)[..2], [0, 1]);
        assert_eq!(bytes(Key::Default)[..2], [0, 0]);
        assert_eq!(bytes(Err::<Key, _>(Error::bad_message("a"))), [1, 0, 1005, 1, 0, 0]);
        assert_eq!(bytes(Err::<Key, _>(Error::fatal(""))), [1, 1, 1005, 0, 0, 0]);
    }

    #[test]
    fn an_answer_of_json_becomes_a_result() {
        let json = |answer: Result<Json, Error>| {
            let mut answers = Answers::new();
            answer.write(&mut answers);
            json_result(answers.as_bytes(), 1000)
        };
        assert_eq!(json(Ok(Json::Text("{}".into()))), [0, 1, 1005, 2, 0, 0]);
        assert_eq!(json(Ok(Json::Skip("a".into()))), [0, 2, 1005, 1, 0, 0]);
        assert_eq!(json(Ok(Json::Default))[..2], [0, 0]);
        assert_eq!(json(Err(Error::bad_message("a"))), [1, 0, 1005, 1, 0, 0]);
        assert_eq!(json(Err(Error::fatal("a"))), [1, 1, 1005, 1, 0, 0]);
    }

    #[test]
    fn answers_of_init_functions_and_hooks_become_results() {
        let mut answers = Answers::new();
        Err::<(), _>(Error::bad_message("ab")).write(&mut answers);
        assert_eq!(init_result(answers.as_bytes(), 1000), [1, 1005, 2, 0, 0, 0]);
        assert_eq!(init_result(&[0], 1000), [0; 6]);
        answers.clear();
        Hook::Stop("abc".into()).write(&mut answers);
        assert_eq!(hook_outcome(answers.as_bytes(), 1000), [1, 1005, 3, 0, 0, 0]);
        answers.clear();
        Hook::GoOn.write(&mut answers);
        assert_eq!(hook_outcome(answers.as_bytes(), 1000), [0; 6]);
    }

    #[test]
    fn connections_are_handed_over_in_the_order_of_the_contract() {
        let contract = Contract::read();
        let fields = |name| match contract.kind(name).1 {
            TypeDefKind::Record(record) => {
                record.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>()
            }
            other => panic!("{name} is {other:?}"),
        };
        let connection =
            ["server", "client-id", "attempt", "reconnect", "session-present", "at-ms"];
        assert_eq!(fields("connection"), connection);
        assert_eq!(fields("connect-failure"), ["reason", "permanent", "lost"]);
    }

    #[test]
    fn an_answer_of_time_becomes_a_result() {
        assert_eq!(time(0x0102_0304_0506_0708), [0, 0, 1, 0, 0x0506_0708, 0x0102_0304]);
        assert_eq!(time(-1), [0, 0, 1, 0, u32::MAX, u32::MAX]);
        assert_eq!(time(Timestamp::Skip("ab".into())), [0, 0, 2, 0, 1005, 2]);
        assert_eq!(time(Timestamp::Default)[..3], [0, 0, 0]);
        assert_eq!(time(Err::<i64, _>(Error::bad_message("a"))), [1, 0, 0, 1005, 1, 0]);
        assert_eq!(time(Err::<i64, _>(Error::fatal("ab"))), [1, 0, 1, 1005, 2, 0]);
    }
}
