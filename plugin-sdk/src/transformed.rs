//! What transformers may return: [`Transformed`], and everything that becomes one.

use std::borrow::Cow;

use crate::answers::Answers;
use crate::{IntoError, Record};

/// What becomes of a record, said in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Transformed {
    /// The record as it came.
    #[default]
    Default,
    /// These records, in this order. None at all: no record of this one.
    Records(Vec<Record>),
    /// No record of this one. The text says why.
    Skip(Cow<'static, str>),
}

impl From<Record> for Transformed {
    fn from(record: Record) -> Self {
        Self::Records(vec![record])
    }
}

impl From<Vec<Record>> for Transformed {
    fn from(records: Vec<Record>) -> Self {
        Self::Records(records)
    }
}

/// What a [`transformer`](crate::transformer) may return: [`Record`], `Vec<Record>` and
/// `[Record; N]` (none: no record), `bool` (`true`: the record as it came, `false`: no record),
/// [`Transformed`], and `Result` of all of them.
///
/// Not an `Option`: of a setter, `None` is the default, and here it looks like no record.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a transformer can return",
    label = "neither records nor `bool`",
    note = "`#[transformer]` goes on a function like `fn transform(message: &Message) -> Vec<Record>`",
    note = "it returns `Record`, `Vec<Record>`, `[Record; N]`, `bool` (`true`: the record as it came, `false`: no record) or `Transformed`, or a `Result` of these",
    note = "instead of an `Option`, `Transformed::Default` says \"as it came\", and an empty `Vec` \"no record\""
)]
pub trait IntoRecords {
    #[doc(hidden)]
    fn write(self, answers: &mut Answers);
}

impl IntoRecords for Record {
    fn write(self, answers: &mut Answers) {
        answers.records(&[self]);
    }
}

impl IntoRecords for Vec<Record> {
    fn write(self, answers: &mut Answers) {
        answers.records(&self);
    }
}

impl<const N: usize> IntoRecords for [Record; N] {
    fn write(self, answers: &mut Answers) {
        answers.records(&self);
    }
}

impl IntoRecords for bool {
    fn write(self, answers: &mut Answers) {
        if self { answers.use_default() } else { answers.records(&[]) }
    }
}

impl IntoRecords for Transformed {
    fn write(self, answers: &mut Answers) {
        match self {
            Self::Default => answers.use_default(),
            Self::Records(records) => answers.records(&records),
            Self::Skip(reason) => answers.skip(&reason),
        }
    }
}

impl<T: IntoRecords, E: IntoError> IntoRecords for Result<T, E> {
    fn write(self, answers: &mut Answers) {
        match self {
            Ok(answer) => answer.write(answers),
            Err(error) => answers.error(&error.into_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn packed(answer: impl IntoRecords) -> Vec<u8> {
        let mut answers = Answers::new();
        answer.write(&mut answers);
        answers.as_bytes().into()
    }

    #[test]
    fn records_come_with_their_number_and_in_order() {
        const ONE: &[u8] = &[7, 1, 0, 0, 0, 1 << 5, 3, 0, 0, 0];
        const TWO: &[u8] = &[7, 2, 0, 0, 0, 0b01, 0b01_00];
        let (one, two) =
            (Record::new().partition(3), [Record::new().null_key(), Record::new().null_value()]);
        assert_eq!(packed(one.clone()), ONE);
        assert_eq!(packed([one.clone()]), ONE);
        assert_eq!(packed(Transformed::from(one.clone())), ONE);
        assert_eq!(packed(Ok::<_, Error>(vec![one])), ONE);
        assert_eq!(packed(two.clone()), TWO);
        assert_eq!(packed(two.to_vec()), TWO);
        assert_eq!(packed(Transformed::from(two.to_vec())), TWO);
    }

    #[test]
    fn no_records_and_the_record_as_it_came_are_different() {
        const NONE: &[u8] = &[7, 0, 0, 0, 0];
        assert_eq!(packed(false), NONE);
        assert_eq!(packed([]), NONE);
        assert_eq!(packed(Vec::new()), NONE);
        assert_eq!(packed(Transformed::Records(Vec::new())), NONE);
        assert_eq!(packed(true), [0]);
        assert_eq!(packed(Transformed::Default), [0]);
    }

    #[test]
    fn reasons_and_errors_carry_their_text() {
        assert_eq!(packed(Transformed::Skip("no".into())), [3, 2, 0, 0, 0, b'n', b'o']);
        assert_eq!(packed(Err::<bool, _>(Error::bad_message("x"))), [4, 1, 0, 0, 0, b'x']);
        assert_eq!(packed(Err::<Record, _>(Error::fatal("x"))), [5, 1, 0, 0, 0, b'x']);
        assert_eq!(packed("".parse::<i64>().map(|_| true))[..6], [4, 38, 0, 0, 0, b'c']);
    }
}
