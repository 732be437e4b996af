//! Records that are handed to the sink together.

use std::ops::Range;

use super::native::Headers;
use super::queue::Kept;
use super::{Tag, Terms};
use crate::message::{Header, Record};

/// What is to be known of a record: its tag, its timestamp, the partition that was chosen.
type Known = (Tag, i64, Option<i32>, Terms);

struct One {
    known: Known,
    kept: Kept,
    /// Where its topic's name is.
    name: Range<usize>,
}

/// Records that are handed over together.
#[derive(Default)]
pub struct Gathered {
    records: Vec<One>,
    /// Names of topics, one behind the other; often all records have the same.
    names: String,
}

impl Gathered {
    /// Takes a record in.
    pub fn add<'h>(
        &mut self,
        tag: Tag,
        topic: &str,
        record: &Record<'_>,
        headers: impl Iterator<Item = Header<'h>>,
        terms: Terms,
    ) {
        let last = self.records.last().map(|last| last.name.clone());
        let name = last.filter(|last| self.names[last.clone()] == *topic).unwrap_or_else(|| {
            self.names.push_str(topic);
            self.names.len() - topic.len()..self.names.len()
        });
        let kept = Kept::new(record.key.as_deref(), record.value.as_deref(), Headers::of(headers));
        let known = (tag, record.timestamp_ms, record.partition(), terms);
        self.records.push(One { known, kept, name });
    }

    /// Takes all records out, each with the name of its topic.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (&str, Known, Kept)> {
        let names = &self.names;
        self.records.drain(..).map(|One { known, kept, name }| (&names[name], known, kept))
    }

    /// Forgets the names.
    pub(super) fn clear(&mut self) {
        self.names.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
