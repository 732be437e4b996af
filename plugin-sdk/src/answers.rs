//! [`Answers`]: what setters and transformers answered, in the packed form that the host reads
//! (`wit/plugin.wit`).

use crate::{Error, Record};

/// Which answer a packed one is, and an exported setter's result too.
pub mod tag {
    pub const DEFAULT: u8 = 0;
    pub const NULL: u8 = 1;
    pub const BYTES: u8 = 2;
    pub const SKIP: u8 = 3;
    pub const BAD_MESSAGE: u8 = 4;
    pub const FATAL: u8 = 5;
    pub const EPOCH_MS: u8 = 6;
    pub const RECORDS: u8 = 7;
}

/// Answers to the messages of one call, packed (`wit/plugin.wit`) one after the other.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Answers {
    packed: Vec<u8>,
}

impl Answers {
    /// More is given back to the allocator before the next call.
    const KEEP: usize = 1 << 20;

    pub const fn new() -> Self {
        Self { packed: Vec::new() }
    }

    /// Forgets the answers of the last call.
    pub fn clear(&mut self) {
        self.packed.clear();
        self.packed.shrink_to(Self::KEEP);
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.packed
    }

    pub fn use_default(&mut self) {
        self.packed.push(tag::DEFAULT);
    }

    pub fn null(&mut self) {
        self.packed.push(tag::NULL);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.sized(tag::BYTES, bytes);
    }

    pub fn skip(&mut self, reason: &str) {
        self.sized(tag::SKIP, reason.as_bytes());
    }

    pub fn error(&mut self, error: &Error) {
        let tag = if error.is_fatal() { tag::FATAL } else { tag::BAD_MESSAGE };
        self.sized(tag, error.text().as_bytes());
    }

    pub fn epoch_ms(&mut self, milliseconds: i64) {
        self.packed.reserve(9);
        self.packed.push(tag::EPOCH_MS);
        self.packed.extend_from_slice(&milliseconds.to_le_bytes());
    }

    pub fn records(&mut self, records: &[Record]) {
        self.packed.push(tag::RECORDS);
        push_size(&mut self.packed, records.len());
        for record in records {
            record.pack(&mut self.packed);
        }
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        self.packed.reserve(5 + bytes.len());
        self.packed.push(tag);
        push_sized(&mut self.packed, bytes);
    }
}

/// Appends bytes behind their size.
pub fn push_sized(packed: &mut Vec<u8>, bytes: &[u8]) {
    push_size(packed, bytes.len());
    packed.extend_from_slice(bytes);
}

pub fn push_size(packed: &mut Vec<u8>, size: usize) {
    // A plugin's whole memory has at most 4 GiB.
    packed.extend_from_slice(&(size as u32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_follow_each_other_until_they_are_cleared() {
        let mut answers = Answers::new();
        answers.bytes(b"a");
        answers.use_default();
        answers.null();
        answers.records(&[Record::new(), Record::new().key("b")]);
        assert_eq!(
            answers.as_bytes(),
            [2, 1, 0, 0, 0, b'a', 0, 1, 7, 2, 0, 0, 0, 0, 2, 1, 0, 0, 0, b'b']
        );
        answers.clear();
        assert!(answers.as_bytes().is_empty());
    }

    #[test]
    fn a_huge_answer_is_not_kept_for_ever() {
        let mut answers = Answers::new();
        answers.bytes(&vec![0; 2 * Answers::KEEP]);
        answers.clear();
        assert!(answers.packed.capacity() <= Answers::KEEP);
    }
}
