//! The typed interfaces of `wit/plugin.wit` as they lie in a plugin's memory (the component
//! model's canonical ABI, 32 bits): the record that a message comes in, and the results that
//! answers go out in. Only layouts; `abi` follows the pointers.

use std::mem::MaybeUninit;

use crate::answer::tag;

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

/// `result<time-outcome, plugin-error>` of one packed answer that lies at an address.
pub fn time_result(answer: &[u8], at: u32) -> RawResult {
    const DEFAULT: u32 = 0;
    const EPOCH_MS: u32 = 1;
    const SKIP: u32 = 2;
    let (kind, text) = sized(answer, at);
    match kind {
        tag::EPOCH_MS => {
            // Here the number stands where other answers have their size and text.
            let number = answer[1..]
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes));
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
    (
        kind,
        RawList {
            at: at + 5,
            len: size,
        },
    )
}
