//! Which partition a record goes to.
//!
//! Records of a partition wait for one another, so it is to be known before librdkafka has the record. Its
//! partitioners are asked directly, and what it then calls is told what has been chosen.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;

type Choose = unsafe extern "C" fn(
    *const c::rd_kafka_topic_t,
    *const c_void,
    usize,
    i32,
    *mut c_void,
    *mut c_void,
) -> i32;

/// Which records may go to any partition.
#[derive(Debug, Clone, Copy)]
enum Spread {
    Nothing,
    WithoutKey,
    /// The key is null, or nothing is in it.
    WithEmptyKey,
}

/// How librdkafka finds a record's partition by its key.
pub struct Partitioner {
    pub name: &'static str,
    choose: Choose,
    spread: Spread,
}

/// All that librdkafka has, by the names of its property `partitioner`, but the one that looks at no key.
pub static PARTITIONERS: [Partitioner; 6] = {
    const fn of(name: &'static str, choose: Choose, spread: Spread) -> Partitioner {
        Partitioner { name, choose, spread }
    }
    [
        of("murmur2_random", c::rd_kafka_msg_partitioner_murmur2_random, Spread::WithoutKey),
        of("murmur2", c::rd_kafka_msg_partitioner_murmur2, Spread::Nothing),
        of(
            "consistent_random",
            c::rd_kafka_msg_partitioner_consistent_random,
            Spread::WithEmptyKey,
        ),
        of("consistent", c::rd_kafka_msg_partitioner_consistent, Spread::Nothing),
        of("fnv1a_random", c::rd_kafka_msg_partitioner_fnv1a_random, Spread::WithoutKey),
        of("fnv1a", c::rd_kafka_msg_partitioner_fnv1a, Spread::Nothing),
    ]
};

impl Partitioner {
    /// Where a record goes by its key, of so many partitions, unless it may go to any.
    fn by_key(&self, key: Option<&[u8]>, count: i32) -> Option<i32> {
        let is_spread = match self.spread {
            Spread::Nothing => false,
            Spread::WithoutKey => key.is_none(),
            Spread::WithEmptyKey => key.is_none_or(<[u8]>::is_empty),
        };
        let (bytes, size) =
            key.map_or((ptr::null(), 0), |key| (key.as_ptr().cast::<c_void>(), key.len()));
        // SAFETY: the key is alive. Only where a record may go to any partition does the function look
        // at the topic.
        (!is_spread).then(|| unsafe {
            let nothing = ptr::null_mut();
            (self.choose)(ptr::null(), bytes, size, count, nothing, nothing)
        })
    }
}

/// How records of a partition are put together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batches {
    /// For how long records without a key stay with a partition, so that batches are not small.
    pub stick_for: Duration,
    /// Records of a batch at most.
    pub records: usize,
    /// Bytes of a batch at most.
    pub bytes: usize,
}

/// What is known of a topic's partitions.
#[derive(Debug, Default)]
pub struct Partitions {
    /// How many there are, for records to be placed by; 0 if nobody knows.
    count: i32,
    /// How many there are, as librdkafka has last said, if it has said another number than that.
    heard: Option<i32>,
    /// How many there are at least, since Kafka has records there.
    proven: i32,
    /// Where records go that may go to any, and until when.
    sticky: Option<(i32, Instant)>,
}

impl Partitions {
    /// Where a record goes that has this key, or for which somebody has chosen. Nobody can tell before librdkafka
    /// knows the topic, nor for a partition of which nobody has heard, nor while there are others than
    /// [before](Self::are_changing). `load`: what is to be sent to a partition first.
    pub fn place(
        &mut self,
        partitioner: &Partitioner,
        stick_for: Duration,
        (key, chosen): (Option<&[u8]>, Option<i32>),
        now: Instant,
        load: impl Fn(usize) -> usize,
    ) -> Option<usize> {
        if self.are_changing() {
            return None;
        }
        let count = self.count;
        if let Some(chosen) = chosen {
            let is_known = chosen < count.max(self.proven);
            return usize::try_from(chosen).ok().filter(|_| is_known);
        }
        if count == 0 {
            return None;
        }
        let place = match (partitioner.by_key(key, count), self.sticky) {
            (Some(partition), _) => partition,
            (None, Some((partition, until))) if partition < count && until > now => partition,
            (None, last) => {
                let last = last.map_or(count - 1, |(partition, _)| partition);
                let others = (1..=count).map(|step| last.wrapping_add(step).rem_euclid(count));
                let next = others.min_by_key(|partition| load(*partition as usize))?;
                self.sticky = Some((next, now + stick_for));
                next
            }
        };
        usize::try_from(place).ok()
    }

    /// Whether there are others than those that records have been placed by. Those are to be placed again, once
    /// nothing is under way.
    pub fn are_changing(&self) -> bool {
        self.heard.is_some()
    }

    /// What librdkafka says.
    fn hear(&mut self, count: i32) {
        // Not forgotten if there are as many as before again: some records may have been kept from their places.
        if self.are_changing() || count != self.count {
            self.heard = Some(count);
        }
    }

    /// From now on records are placed by what librdkafka has last said.
    pub fn change(&mut self) {
        if let Some(count) = self.heard.take() {
            (self.count, self.proven) = (count, count);
        }
    }

    /// Kafka has a record in this partition, which somebody has chosen. Whether nobody has heard of it before.
    pub fn prove(&mut self, chosen: i32) -> bool {
        let is_new = chosen >= self.count.max(self.proven);
        self.proven = self.proven.max(chosen.saturating_add(1));
        is_new
    }
}

/// The record that a thread is producing.
struct Producing<'a> {
    partitions: &'a mut Partitions,
    place: Option<usize>,
    has_no_place: bool,
}

thread_local! {
    static PRODUCING: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

/// Whether this thread is producing a record.
pub fn is_producing() -> bool {
    !PRODUCING.get().is_null()
}

/// Runs what produces a record for this place, on this thread. Whether librdkafka knows the topic, and the
/// record has no place in it.
pub fn produce_to<T>(
    partitions: &mut Partitions,
    place: Option<usize>,
    produce: impl FnOnce() -> T,
) -> (T, bool) {
    let mut producing = Producing { partitions, place, has_no_place: false };
    PRODUCING.set((&raw mut producing).cast());
    let produced = produce();
    PRODUCING.set(ptr::null_mut());
    (produced, producing.has_no_place)
}

/// Called while a record is produced; by a thread of librdkafka for one that came before anything was
/// known of its topic.
pub unsafe extern "C" fn choose_partition(
    topic: *const c::rd_kafka_topic_t,
    key: *const c_void,
    size: usize,
    count: i32,
    partitioner: *mut c_void,
    ticket: *mut c_void,
) -> i32 {
    // SAFETY: `Producer::new` has given the address of a static. What this thread is producing is alive for as
    // long as its address stands there.
    unsafe {
        let partitioner: &Partitioner = &*partitioner.cast();
        let Some(producing) = PRODUCING.get().cast::<Producing<'_>>().as_mut() else {
            return (partitioner.choose)(topic, key, size, count, ptr::null_mut(), ticket);
        };
        producing.partitions.hear(count);
        let place = producing.place.and_then(|place| i32::try_from(place).ok());
        place.filter(|place| *place < count).unwrap_or_else(|| {
            producing.has_no_place = true;
            // A partition that no topic has: librdkafka gives the record back.
            i32::MAX
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STICK: Duration = Duration::from_millis(10);

    fn named(name: &str) -> &'static Partitioner {
        PARTITIONERS.iter().find(|known| known.name == name).expect("a partitioner")
    }

    fn of(count: i32) -> Partitions {
        Partitions { count, ..Partitions::default() }
    }

    #[test]
    fn a_key_has_the_partition_that_java_clients_give_it() {
        // By Kafka's Utils.murmur2, made positive.
        let murmur2: [(&[u8], i32); 3] = [
            (b"21", 1_173_551_340),
            (b"foobar", 1_357_151_166),
            (b"a-little-bit-long-string", 1_161_502_112),
        ];
        for (key, hash) in murmur2 {
            let (mut partitions, now) = (of(97), Instant::now());
            let mut place =
                |name| partitions.place(named(name), STICK, (Some(key), None), now, |_| 0);
            assert_eq!(place("murmur2_random"), Some((hash % 97) as usize));
            assert_eq!(place("murmur2"), Some((hash % 97) as usize));
        }
    }

    #[test]
    fn records_without_a_key_stay_for_a_while_and_go_where_least_waits() {
        let (mut partitions, start) = (of(3), Instant::now());
        let mut place = |name: &str, key: Option<&[u8]>, after: u32, load: [usize; 3]| {
            let now = start + STICK * after;
            partitions.place(named(name), STICK, (key, None), now, |partition| load[partition])
        };
        let first = place("murmur2_random", None, 0, [0, 0, 0]);
        assert_eq!(first, Some(0));
        assert_eq!(place("murmur2_random", None, 0, [9, 0, 0]), first);
        assert_eq!(place("murmur2_random", None, 1, [0, 1, 0]), Some(2));
        assert_eq!(place("consistent_random", Some(b""), 2, [5, 3, 4]), Some(1));
        let by_key = place("murmur2", Some(b""), 3, [0, 0, 0]);
        assert_eq!(place("murmur2_random", Some(b""), 3, [9, 9, 9]), by_key);
        assert_eq!(place("fnv1a_random", None, 3, [0, 0, 0]), Some(2));
    }

    #[test]
    fn nobody_knows_a_place_that_librdkafka_does_not_know() {
        let now = Instant::now();
        let place = |count, chosen| {
            let partitioner = named("murmur2_random");
            of(count).place(partitioner, STICK, (Some(b"key"), chosen), now, |_| 0)
        };
        assert_eq!(place(0, None), None);
        assert_eq!(place(0, Some(0)), None);
        assert_eq!([-1, 2, i32::MAX].map(|chosen| place(2, Some(chosen))), [None; 3]);
        assert_eq!(place(2, Some(1)), Some(1));
    }

    #[test]
    fn nothing_is_placed_while_there_are_others_than_before() {
        let (mut partitions, now) = (of(2), Instant::now());
        let place = |partitions: &mut Partitions, chosen| {
            let partitioner = named("murmur2_random");
            partitions.place(partitioner, STICK, (Some(b"21"), chosen), now, |_| 0)
        };
        assert_eq!(place(&mut partitions, None), Some(1_173_551_340 % 2));
        // Also if there are as many as before again, before anything was placed anew.
        for (count, placed) in [(2, Some(0)), (7, None), (2, None)] {
            partitions.hear(count);
            assert_eq!(place(&mut partitions, Some(0)), placed);
        }
        partitions.hear(7);
        partitions.change();
        assert_eq!(place(&mut partitions, None), Some(1_173_551_340 % 7));
        assert!(!partitions.prove(6) && partitions.prove(8) && !partitions.prove(7));
        assert_eq!(place(&mut partitions, Some(8)), Some(8));
        assert_eq!(place(&mut partitions, Some(9)), None);
    }
}
