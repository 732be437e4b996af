//! Whether an acknowledgement waits for the next read, as TCP delays its own.
//!
//! It costs as much to wake this thread for an acknowledgement as to read a message. At some hundred
//! messages a second the next read comes soon, and the acknowledgement leaves with it; if none comes, it
//! leaves after a moment.
//!
//! A server may wait for acknowledgements, so only one is delayed at a time. If that is the one it waits
//! for, the next message comes right behind it: then nothing is delayed for a while.

use std::time::{Duration, Instant};

use super::pace::stays_out;

/// How long an acknowledgement is delayed at most. The timer for it fires that often at most, also if
/// every read puts it off.
const DELAY: Duration = Duration::from_millis(50);
/// A server that has been waiting for an acknowledgement sends the next message within this time.
const SOON: Duration = Duration::from_millis(5);
/// How many times in a row that has to happen.
const SUSPICIOUS: u32 = 2;

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub struct Delay {
    /// An acknowledgement is delayed until then.
    until: Option<Instant>,
    /// When one left by itself that had been delayed.
    late: Option<Instant>,
    /// How many times a message came right behind such a one.
    suspicious: u32,
    /// Nothing is delayed before.
    out: Option<Instant>,
    /// How many times in a row a server was found to wait.
    found: usize,
}

impl Delay {
    /// Until when an acknowledgement need not leave, if that is not over.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// Something has been dealt with: messages that were read, acknowledgements that leave, or both in
    /// one go.
    pub fn seen(&mut self, read: bool, acknowledged: bool, now: Instant) {
        if !read {
            let is_over = self.until.take_if(|until| acknowledged && *until <= now).is_some();
            self.late = is_over.then_some(now).or(self.late);
            return;
        }
        let late = self.late.take();
        if acknowledged {
            (self.suspicious, self.found) = (0, 0);
        } else if late.is_some_and(|late| now.duration_since(late) < SOON) {
            self.suspicious += 1;
        }
        if self.suspicious == SUSPICIOUS {
            self.out = Some(now + stays_out(self.found));
            (self.suspicious, self.found) = (0, self.found + 1);
        }
        let is_out = self.out.is_some_and(|out| now < out);
        self.until = (!is_out).then_some(now + DELAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A made-up clock, and a server that sends a message at each of these times at the earliest, but not
    /// before the acknowledgement of so many before it. Gives how often the client woke up, and when the
    /// last message came.
    fn serve(times: impl Iterator<Item = Duration>, window: usize) -> (usize, Duration) {
        /// From a message to Kafka's confirmation.
        const CONFIRMED: Duration = Duration::from_millis(2);
        let start = Instant::now();
        let (mut delay, mut now, mut wakes) = (Delay::default(), start, 0);
        // When each message that is not acknowledged is confirmed, and whether that wakes the client.
        let mut open: Vec<(Instant, bool)> = Vec::new();
        let mut times = times.map(|time| start + time).peekable();
        while let Some(next) = times.peek() {
            let read = (open.len() < window).then(|| now.max(*next) + MS / 10);
            let wake = open.iter().filter(|(_, wakes)| *wakes).map(|(at, _)| (*at).max(now)).min();
            let over = delay.until.filter(|_| !open.is_empty()).map(|at| at.max(now));
            now = [read, wake, over].into_iter().flatten().min().expect("something happens");
            wakes += 1;
            let delays = delay.until(now).is_some();
            let has_read = read == Some(now);
            if has_read {
                times.next();
                open.push((now + CONFIRMED, true));
            }
            let before = open.len();
            open.retain(|(at, _)| *at > now);
            let alone = open.len() == 1;
            for (_, wakes) in &mut open {
                *wakes = !(delays && alone);
            }
            delay.seen(has_read, open.len() < before, now);
        }
        (wakes, now - start)
    }

    fn every(period: Duration, count: u32) -> impl Iterator<Item = Duration> {
        (1..=count).map(move |number| period * number)
    }

    #[test]
    fn acknowledgements_leave_with_the_next_read_where_that_comes_soon() {
        assert!(serve(every(10 * MS, 1_000), 20).0 < 1_010);
        assert!(serve(every(3 * MS, 1_000), 20).0 < 1_010);
    }

    #[test]
    fn an_acknowledgement_leaves_at_once_where_little_comes() {
        let (wakes, took) = serve(every(100 * MS, 100), 1);
        assert!((199..=201).contains(&wakes), "{wakes}");
        assert!(took < 10_010 * MS, "{took:?}");
    }

    #[test]
    fn a_server_that_waits_for_each_acknowledgement_is_not_kept_waiting() {
        let (_, all_the_time) = serve(every(Duration::ZERO, 1_000), 1);
        assert!(all_the_time < 1_000 * 2 * MS * 5 / 4, "{all_the_time:?}");
    }

    #[test]
    fn a_server_with_room_for_two_is_not_kept_waiting_either() {
        let (_, all_the_time) = serve(every(Duration::ZERO, 1_000), 2);
        assert!(all_the_time < 1_000 * 2 * MS * 11 / 20, "{all_the_time:?}");
    }
}
