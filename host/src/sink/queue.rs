//! The sink's waiting room: records at a gate that is closed.

use std::collections::{BTreeMap, VecDeque};

use super::native::{Headers, Parts};

/// A record's place in the order of everything sent.
pub type Order = u64;

/// A copy of what a record consists of.
pub struct Kept {
    /// The key, and behind it the value.
    bytes: Vec<u8>,
    key: Option<usize>,
    has_value: bool,
    pub headers: Option<Headers>,
}

impl Kept {
    pub fn new(key: Option<&[u8]>, value: Option<&[u8]>, headers: Option<Headers>) -> Self {
        let parts = [key.unwrap_or_default(), value.unwrap_or_default()];
        Self {
            bytes: parts.concat(),
            key: key.map(<[u8]>::len),
            has_value: value.is_some(),
            headers,
        }
    }

    pub fn key(&self) -> Option<&[u8]> {
        self.key.map(|length| &self.bytes[..length])
    }

    /// In bytes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.headers.as_ref().map_or(0, Headers::size)
    }

    /// To be handed over; what is left of the headers is to be put back.
    pub fn parts(&mut self, timestamp_ms: i64, partition: Option<i32>) -> Parts<'_> {
        let (key, value) = self.bytes.split_at(self.key.unwrap_or_default());
        Parts {
            key: self.key.map(|_| key),
            value: self.has_value.then_some(value),
            timestamp_ms,
            partition,
            headers: self.headers.take(),
        }
    }
}

/// A record that waits.
pub struct Waiting<T> {
    pub slot: T,
    pub kept: Kept,
    /// Kafka's client does not know its partition, and brokers are to be asked.
    pub is_doubted: bool,
}

/// Records in the order in which they were sent.
pub struct Queue<T> {
    /// Those that come back, in any order; usually none.
    back: BTreeMap<Order, Waiting<T>>,
    /// Those that have not been tried yet.
    new: VecDeque<(Order, Waiting<T>)>,
    /// How many of those that come back are doubted.
    doubted: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { back: BTreeMap::new(), new: VecDeque::new(), doubted: 0 }
    }
}

impl<T> Queue<T> {
    /// The last of everything sent.
    pub fn push(&mut self, order: Order, waiting: Waiting<T>) {
        self.new.push_back((order, waiting));
    }

    /// One that was sent before others that wait.
    pub fn put_back(&mut self, order: Order, waiting: Waiting<T>) {
        self.doubted += usize::from(waiting.is_doubted);
        self.back.insert(order, waiting);
    }

    pub fn pop(&mut self) -> Option<(Order, Waiting<T>)> {
        let back = self.back.first_key_value().map(|(order, _)| *order);
        match (back, self.new.front()) {
            (None, _) => self.new.pop_front(),
            (Some(back), Some((new, _))) if *new < back => self.new.pop_front(),
            (Some(_), _) => {
                let first = self.back.pop_first()?;
                self.doubted -= usize::from(first.1.is_doubted);
                Some(first)
            }
        }
    }

    pub fn len(&self) -> usize {
        self.back.len() + self.new.len()
    }

    pub fn is_empty(&self) -> bool {
        self.back.is_empty() && self.new.is_empty()
    }

    pub fn is_doubted(&self) -> bool {
        self.doubted > 0
    }

    /// Takes out everything, in any order.
    pub fn take(&mut self) -> impl Iterator<Item = (Order, Waiting<T>)> + use<T> {
        let Self { back, new, .. } = std::mem::take(self);
        back.into_iter().chain(new)
    }

    /// Takes out what is doubted.
    pub fn take_doubted(&mut self) -> Vec<(Order, Waiting<T>)> {
        self.doubted = 0;
        self.back.extract_if(.., |_, waiting| waiting.is_doubted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(is_doubted: bool) -> Waiting<()> {
        Waiting { slot: (), kept: Kept::new(Some(b"k"), None, None), is_doubted }
    }

    #[test]
    fn what_comes_back_takes_its_place_again() {
        let mut queue = Queue::default();
        for order in [5, 6, 7] {
            queue.push(order, waiting(false));
        }
        for order in [3, 6_000, 4] {
            queue.put_back(order, waiting(order == 4));
        }
        let five = queue.new.pop_front().map(|(_, five)| five).expect("it waits");
        queue.put_back(5, five);
        assert_eq!((queue.len(), queue.is_doubted(), queue.is_empty()), (6, true, false));
        let doubted: Vec<_> = queue.take_doubted().into_iter().map(|(order, _)| order).collect();
        assert_eq!((doubted, queue.is_doubted()), (vec![4], false));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(order, _)| order).collect();
        assert_eq!(order, [3, 5, 6, 7, 6_000]);
        assert!(queue.is_empty());
        queue.push(2, waiting(false));
        queue.put_back(1, waiting(true));
        let mut all: Vec<_> = queue.take().map(|(order, _)| order).collect();
        all.sort_unstable();
        assert_eq!((all, queue.is_empty(), queue.is_doubted()), (vec![1, 2], true, false));
    }

    #[test]
    fn null_and_empty_are_kept_apart() {
        for (key, value) in [(None, None), (Some(&b""[..]), None), (Some(b"k"), Some(&b"v"[..]))] {
            let mut kept = Kept::new(key, value, None);
            let parts = kept.parts(7, Some(3));
            assert_eq!((parts.key, parts.value, parts.timestamp_ms), (key, value, 7));
            assert_eq!(
                (kept.key(), kept.size()),
                (key, value.map_or(0, <[u8]>::len) + key.map_or(0, <[u8]>::len))
            );
        }
        let mut kept = Kept::new(None, Some(b""), None);
        assert_eq!(kept.parts(0, None).value, Some(&b""[..]));
    }
}
