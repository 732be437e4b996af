//! Which partition a record goes to, and whether it may go there yet.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;

thread_local! {
    /// The partitions of the topic to which this thread is producing.
    static ADMISSION: Cell<*mut Partitions> = const { Cell::new(ptr::null_mut()) };
}

/// Whether this thread is producing a record.
pub fn is_producing() -> bool {
    !ADMISSION.get().is_null()
}

/// How librdkafka finds a record's partition by its key.
pub struct Partitioner {
    pub name: &'static str,
    choose: unsafe extern "C" fn(
        *const c::rd_kafka_topic_t,
        *const c_void,
        usize,
        i32,
        *mut c_void,
        *mut c_void,
    ) -> i32,
    /// Records without a key go to any partition.
    spreads: bool,
}

/// All that librdkafka has, by the names of its property `partitioner`.
pub static PARTITIONERS: [Partitioner; 7] = {
    const fn of(
        name: &'static str,
        choose: unsafe extern "C" fn(
            *const c::rd_kafka_topic_t,
            *const c_void,
            usize,
            i32,
            *mut c_void,
            *mut c_void,
        ) -> i32,
        spreads: bool,
    ) -> Partitioner {
        Partitioner { name, choose, spreads }
    }
    [
        of("murmur2_random", c::rd_kafka_msg_partitioner_murmur2_random, true),
        of("murmur2", c::rd_kafka_msg_partitioner_murmur2, false),
        of("consistent_random", c::rd_kafka_msg_partitioner_consistent_random, true),
        of("consistent", c::rd_kafka_msg_partitioner_consistent, false),
        of("fnv1a_random", c::rd_kafka_msg_partitioner_fnv1a_random, true),
        of("fnv1a", c::rd_kafka_msg_partitioner_fnv1a, false),
        of("random", c::rd_kafka_msg_partitioner_random, false),
    ]
};

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

/// For how long a partition stays proven. Brokers forget a producer of which they have heard nothing for
/// a day, unless told otherwise (`producer.id.expiration.ms`), or whose topic has been made anew.
const PROVEN_FOR: Duration = Duration::from_mins(10);

/// What a record takes in a batch beside its parts, in bytes, generously.
const OVERHEAD: usize = 100;

/// What is known of a topic's partitions.
#[derive(Debug, Default)]
pub struct Partitions {
    /// How many there were when librdkafka last asked; 0 if it has not.
    count: i32,
    /// Those in which this producer has a record, a bit each.
    proven: Vec<u64>,
    /// Since when they are counted.
    proven_since: Option<Instant>,
    /// Others to which a record is under way.
    tried: Vec<i32>,
    /// Where records without a key go, and until when.
    sticky: Option<(i32, Instant)>,
    /// By partition, how many records and bytes have been produced since nothing was under way.
    used: Vec<(usize, usize)>,
    batches: Batches,
    /// The size of the record at hand, in bytes.
    size: usize,
    /// The last record may not be produced yet.
    held_up: bool,
}

impl Partitions {
    /// Whether nothing is known of them, so that nobody can tell where a record will go.
    pub fn are_unknown(&self) -> bool {
        self.count == 0
    }

    /// A record is in Kafka.
    pub fn prove(&mut self, partition: i32) {
        let Some((word, bit)) = place(partition) else { return };
        if self.proven.len() <= word {
            self.proven.resize(word + 1, 0);
        }
        if self.proven[word] & bit == 0 {
            self.proven[word] |= bit;
            self.tried.retain(|tried| *tried != partition);
            self.count = self.count.max(partition + 1);
        }
    }

    /// A record of so many bytes is to be admitted.
    pub fn begin(&mut self, batches: Batches, size: usize) {
        (self.held_up, self.batches, self.size) = (false, batches, size + OVERHEAD);
    }

    /// Runs what produces it, on this thread. Whether it may not be produced yet.
    pub fn admit_one<T>(&mut self, produce: impl FnOnce() -> T) -> (T, bool) {
        ADMISSION.set(ptr::from_mut(self));
        let produced = produce();
        ADMISSION.set(ptr::null_mut());
        (produced, self.held_up)
    }

    /// Nothing is under way.
    pub fn rest(&mut self, now: Instant) {
        self.tried.clear();
        self.used.clear();
        if self.proven_since.is_none_or(|since| now.duration_since(since) >= PROVEN_FOR) {
            self.proven.clear();
            self.proven_since = Some(now);
        }
    }

    /// Whether the record at hand may go to this partition now; if so, it is taken for on its way.
    pub fn admit(&mut self, partition: i32) -> bool {
        let Some((word, bit)) = place(partition) else { return true };
        if self.proven.get(word).is_some_and(|word| word & bit != 0) {
            return self.has_room(partition as usize);
        }
        if self.tried.contains(&partition) {
            return false;
        }
        self.tried.push(partition);
        true
    }

    /// Whether the record at hand still fits into the partition's next batch. librdkafka looks at the clock
    /// in a busy loop for as long as it has more than that, which may be long if Kafka does not answer.
    fn has_room(&mut self, partition: usize) -> bool {
        if self.used.len() <= partition {
            self.used.resize(partition + 1, (0, 0));
        }
        let (records, bytes) = &mut self.used[partition];
        let Batches { records: most, bytes: limit, .. } = self.batches;
        let has_room = *records == 0 || *records < most && *bytes + self.size <= limit;
        if has_room {
            (*records, *bytes) = (*records + 1, *bytes + self.size);
        }
        has_room
    }
}

fn place(partition: i32) -> Option<(usize, u64)> {
    let partition = usize::try_from(partition).ok()?;
    Some((partition / 64, 1 << (partition % 64)))
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
    // SAFETY: `Producer::new` has given the address of a static. `Partitions::admit_one` borrows the
    // partitions for as long as their address stands there.
    unsafe {
        let partitioner: &Partitioner = &*partitioner.cast();
        let choose = || (partitioner.choose)(topic, key, size, count, ptr::null_mut(), ticket);
        let Some(partitions) = ADMISSION.get().as_mut() else { return choose() };
        partitions.count = count;
        let chosen = if partitioner.spreads && key.is_null() {
            match partitions.sticky {
                Some((sticky, until)) if sticky < count && until > Instant::now() => sticky,
                _ => {
                    let chosen = choose();
                    partitions.sticky =
                        Some((chosen, Instant::now() + partitions.batches.stick_for));
                    chosen
                }
            }
        } else {
            choose()
        };
        if partitions.admit(chosen) {
            return chosen;
        }
        partitions.held_up = true;
        // A partition that no topic has: librdkafka gives the record back.
        i32::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_record_waits_until_the_first_of_its_partition_is_confirmed() {
        let mut partitions = Partitions::default();
        partitions.begin(Batches { records: 2, bytes: 1_000, ..Batches::default() }, 1);
        assert!(partitions.are_unknown());
        assert!(partitions.admit(3) && !partitions.admit(3) && partitions.admit(70));
        partitions.prove(3);
        assert!(partitions.admit(3) && partitions.admit(3) && !partitions.admit(70));
        assert!(!partitions.are_unknown());
        partitions.rest(Instant::now());
        assert!(partitions.admit(70) && !partitions.admit(70));
    }

    #[test]
    fn after_some_minutes_the_first_record_goes_alone_again() {
        let mut partitions = Partitions::default();
        let batches = Batches { records: 9, bytes: 1_000, ..Batches::default() };
        partitions.begin(batches, 1);
        let start = Instant::now();
        partitions.rest(start);
        partitions.prove(3);
        let mut admits_two = |after| {
            partitions.rest(start + after);
            (partitions.admit(3), partitions.admit(3))
        };
        assert_eq!(admits_two(PROVEN_FOR / 2), (true, true));
        assert_eq!(admits_two(PROVEN_FOR), (true, false));
    }

    #[test]
    fn a_partition_gets_no_more_than_a_batch_until_nothing_is_under_way() {
        let batches = Batches { records: 3, bytes: 1_000, ..Batches::default() };
        let mut partitions = Partitions::default();
        partitions.prove(0);
        partitions.prove(1);
        let mut admit = |partition, size| {
            partitions.begin(batches, size);
            let admitted = partitions.admit(partition);
            if !admitted {
                partitions.used.clear();
            }
            admitted
        };
        assert!(admit(0, 1) && admit(0, 1) && admit(0, 1) && admit(1, 1));
        assert!(!admit(0, 1), "three records are enough");
        assert!(admit(0, 5_000), "the first may be larger");
        assert!(!admit(0, 1));
        assert!(admit(0, 700) && admit(0, 50) && !admit(0, 50), "a thousand bytes are enough");
    }

    #[test]
    fn a_partition_that_cannot_be_is_left_to_librdkafka() {
        let mut partitions = Partitions::default();
        assert!(partitions.admit(-1) && partitions.admit(-1));
        partitions.prove(-1);
        assert!(partitions.are_unknown());
    }
}
