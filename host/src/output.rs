//! Beside the path: standard output and standard error, each behind a queue and written by a thread of
//! its own. No thread of the path, and no signal, ever waits for who reads them.
//!
//! A queue that is full drops what comes, and counts it. `tracing-appender` has a log writer of this
//! kind; it bounds lines and not bytes, does not say what it has dropped, and may itself write to a
//! standard output that nobody reads when the program ends.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of log lines that may wait; as much again may be on its way.
const LOG: usize = 1 << 20;
/// Bytes of records of `--print` that may wait.
const RECORDS: usize = 4 << 20;

/// How often at most a loss is told: more are counted together.
const TOLD: Duration = Duration::from_secs(10);
/// How long a writer that must not wait is left alone.
const BUSY: Duration = Duration::from_millis(10);

/// Whether delivered records are written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Print {
    Off,
    /// As long as it is read fast enough; what it has no room for is left out, and counted.
    On,
    /// All of them: no message is taken while its reader is behind.
    Wait,
}

static STDOUT: OnceLock<Output> = OnceLock::new();
static STDERR: OnceLock<Output> = OnceLock::new();

/// Standard output, for records.
pub fn stdout() -> &'static Output {
    STDOUT.get_or_init(|| {
        Output::start("stdout", duplicate(io::stdout()), RECORDS, |loss| match loss {
            Loss::Dropped(records) => tracing::warn!(
                "--print has left out {records} records, since standard output was not read fast enough; \
                 --print=wait waits for its reader instead"
            ),
            Loss::Closed(error) => {
                tracing::warn!("--print stops: cannot write to standard output: {error}");
            }
            Loss::Unread => tracing::warn!(
                "the last records of --print are missing, since standard output was not read"
            ),
        })
    })
}

/// Standard error, for the log.
pub fn stderr() -> &'static Output {
    STDERR.get_or_init(|| {
        Output::start("stderr", duplicate(io::stderr()), LOG, |loss| match loss {
            Loss::Dropped(lines) => tracing::warn!(
                "{lines} lines are missing from this log, since standard error was not read fast enough"
            ),
            // There is nobody left to tell.
            Loss::Closed(_) | Loss::Unread => {}
        })
    })
}

/// Writes a line to standard error that is no log line.
pub fn say(line: impl fmt::Display) {
    stderr().push(format!("{line}\n").as_bytes());
}

/// Since when records have been waiting for a reader of standard output, if they are.
pub fn waiting_for_reader() -> Option<Instant> {
    STDOUT.get()?.waiting()
}

/// Waits until everything is written, but no longer than this. To be called once, at the end.
pub fn finish(time: Duration) {
    // One that is stuck takes no time from the other.
    for output in [&STDOUT, &STDERR].into_iter().filter_map(OnceLock::get) {
        output.finish(Instant::now() + time / 2);
    }
}

/// The descriptor itself: what the standard library keeps for a while, it would write at the end.
fn duplicate(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// What a reader has missed.
#[derive(Debug)]
enum Loss<'e> {
    /// So many pieces, since the queue was full.
    Dropped(u64),
    /// Everything from now on.
    Closed(&'e io::Error),
    /// What was in the queue at the end.
    Unread,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// The queue is full. Whether it is the first piece since a loss was told.
    Dropped {
        first: bool,
    },
    /// There is no reader any more.
    Closed,
}

/// See the [module's documentation](self).
#[derive(Clone)]
pub struct Output {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    tell: Box<dyn Fn(Loss<'_>) + Send + Sync>,
    /// Told that there is room again, after somebody has asked in vain.
    room: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Wakes the thread.
    filled: Condvar,
    /// Wakes whoever waits for the end.
    taken: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// The thread is writing what it took last.
    writing: bool,
    /// Since the last loss was told.
    dropped: u64,
    closed: bool,
    /// Since when somebody has been waiting for room.
    waiting: Option<Instant>,
}

impl Queue {
    /// There is room again: whether somebody has been waiting for it.
    fn empty(&mut self) -> bool {
        self.bytes.clear();
        self.waiting.take().is_some()
    }
}

impl Output {
    fn start(
        name: &str,
        target: io::Result<impl Write + Send + 'static>,
        limit: usize,
        tell: impl Fn(Loss<'_>) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            tell: Box::new(tell),
            room: OnceLock::new(),
            filled: Condvar::new(),
            taken: Condvar::new(),
            limit,
        });
        let running = Arc::clone(&shared);
        let started = target.and_then(|target| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(move || running.write(target))
        });
        // Without a descriptor or a thread it is as if nobody read.
        shared.lock().closed = started.is_err();
        Self { shared }
    }

    /// Puts a piece into the queue, if there is room.
    pub fn push(&self, piece: &[u8]) -> Pushed {
        let mut queue = self.shared.lock();
        if queue.closed {
            return Pushed::Closed;
        }
        if !self.shared.has_room(&queue, piece) {
            queue.dropped += 1;
            return Pushed::Dropped { first: queue.dropped == 1 };
        }
        queue.bytes.extend_from_slice(piece);
        drop(queue);
        self.shared.filled.notify_one();
        Pushed::Queued
    }

    /// Puts a piece into the queue, also if there is no room: who does this asks [`Self::is_full`] before
    /// more comes.
    pub fn push_all_the_same(&self, piece: &[u8]) -> Pushed {
        let mut queue = self.shared.lock();
        if queue.closed {
            return Pushed::Closed;
        }
        queue.bytes.extend_from_slice(piece);
        drop(queue);
        self.shared.filled.notify_one();
        Pushed::Queued
    }

    /// Whether there is no room. If so, who is to be told is told when there is.
    pub fn is_full(&self) -> bool {
        let mut queue = self.shared.lock();
        let is_full = !queue.closed && queue.bytes.len() >= self.shared.limit;
        if is_full {
            queue.waiting.get_or_insert_with(Instant::now);
        }
        is_full
    }

    /// Who is to be told that there is room again. To be said once.
    pub fn tell_of_room(&self, told: impl Fn() + Send + Sync + 'static) {
        // Somebody else is told already.
        drop(self.shared.room.set(Box::new(told)));
    }

    /// Since when somebody has been waiting for room.
    pub fn waiting(&self) -> Option<Instant> {
        self.shared.lock().waiting
    }

    fn finish(&self, end: Instant) {
        if !self.shared.wait_until_written(end) {
            (self.shared.tell)(Loss::Unread);
        }
        if self.shared.tell_dropped() {
            self.shared.wait_until_written(end);
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Output").finish_non_exhaustive()
    }
}

/// A log line, which arrives with one call.
impl Write for &Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    /// A piece that is larger than the queue has it to itself.
    fn has_room(&self, queue: &Queue, piece: &[u8]) -> bool {
        queue.bytes.is_empty() || queue.bytes.len() + piece.len() <= self.limit
    }

    /// The thread: takes all that is there, writes it, and then tells what was missed.
    fn write(&self, mut target: impl Write) {
        let (mut bytes, mut told) = (Vec::new(), None::<Instant>);
        loop {
            self.take(&mut bytes);
            if let Err(error) = write_all(&mut target, &bytes) {
                let mut queue = self.lock();
                (queue.closed, queue.writing) = (true, false);
                let wanted = queue.empty();
                drop(queue);
                self.made_room(wanted);
                return (self.tell)(Loss::Closed(&error));
            }
            if told.is_none_or(|told| told.elapsed() >= TOLD) && self.tell_dropped() {
                told = Some(Instant::now());
            }
        }
    }

    /// Whether there was something to tell.
    fn tell_dropped(&self) -> bool {
        let dropped = std::mem::take(&mut self.lock().dropped);
        if dropped > 0 {
            (self.tell)(Loss::Dropped(dropped));
        }
        dropped > 0
    }

    /// Whether it is.
    fn wait_until_written(&self, end: Instant) -> bool {
        let mut queue = self.lock();
        while !queue.closed && (queue.writing || !queue.bytes.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.taken.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits for something to write.
    fn take(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        let mut queue = self.lock();
        queue.writing = false;
        self.taken.notify_all();
        while queue.bytes.is_empty() {
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut queue.bytes, bytes);
        queue.writing = true;
        let wanted = queue.empty();
        drop(queue);
        self.made_room(wanted);
    }

    fn made_room(&self, wanted: bool) {
        self.taken.notify_all();
        if let Some(room) = self.room.get().filter(|_| wanted) {
            room();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_all(target: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match target.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process has the same terminal or pipe, and has made it so.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(BUSY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read, pipe};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// An output with a pipe's other end, and what it tells about losses.
    fn output(limit: usize) -> (Output, PipeReader, Receiver<String>) {
        let (reader, writer) = pipe().expect("descriptors are left");
        let (sender, told) = channel();
        let tell = move |loss: Loss<'_>| drop(sender.send(format!("{loss:?}")));
        (Output::start("test", Ok(writer), limit, tell), reader, told)
    }

    /// Fills the pipe and the queue, each piece 1,000 bytes; gives how many fit.
    fn fill(output: &Output) -> usize {
        let mut queued = 0;
        let end = Instant::now() + SOON;
        // The thread takes some more from the queue until the pipe is full.
        while Instant::now() < end {
            match output.push(&[b'x'; 1_000]) {
                Pushed::Queued => queued += 1,
                Pushed::Dropped { .. } if queued * 1_000 > 64 << 10 => return queued,
                Pushed::Dropped { .. } => std::thread::yield_now(),
                Pushed::Closed => panic!("the pipe has a reader"),
            }
        }
        panic!("nothing bounds the queue")
    }

    #[test]
    fn what_is_written_comes_in_order_and_is_there_at_the_end() {
        let (output, mut reader, _) = output(1 << 20);
        for number in 0..1_000 {
            assert_eq!(output.push(format!("{number}\n").as_bytes()), Pushed::Queued);
        }
        output.finish(Instant::now() + SOON);
        let expected = (0..1_000).map(|number| number.to_string() + "\n").collect::<String>();
        let mut read = vec![0; expected.len()];
        reader.read_exact(&mut read).expect("all of it is in the pipe");
        assert_eq!(String::from_utf8_lossy(&read), expected);
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_missed_is_told_when_it_reads_again() {
        let (output, mut reader, told) = output(10_000);
        fill(&output);
        assert!(matches!(output.push(&[b'x'; 1_000]), Pushed::Dropped { first: false }));
        output.finish(Instant::now() + Duration::from_millis(1));
        std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        let loss = told.recv_timeout(SOON).expect("a loss is told");
        assert!(loss.starts_with("Dropped("), "{loss}");
        output.finish(Instant::now() + SOON);
        assert_eq!(output.push(b"again"), Pushed::Queued);
    }

    #[test]
    fn who_asked_for_room_in_vain_is_told_when_there_is_some() {
        let (output, mut reader, _told) = output(10_000);
        let (sender, room) = channel();
        output.tell_of_room(move || {
            let _ = sender.send(());
        });
        fill(&output);
        let end = Instant::now() + SOON;
        while !output.is_full() {
            assert!(Instant::now() < end, "it is full");
            assert_eq!(output.push_all_the_same(&[b'x'; 1_000]), Pushed::Queued);
        }
        assert!(output.waiting().is_some());
        // The thread may have taken what was there before.
        while room.try_recv().is_ok() {}
        assert_eq!(output.push_all_the_same(&[b'x'; 1_000]), Pushed::Queued);
        std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        room.recv_timeout(SOON).expect("there is room");
        assert_eq!((output.is_full(), output.waiting()), (false, None));
    }

    #[test]
    fn a_reader_that_has_gone_is_told_once_and_nothing_is_kept_for_it() {
        let (output, reader, told) = output(10_000);
        drop(reader);
        output.push(b"nobody reads this");
        let loss = told.recv_timeout(SOON).expect("the end is told");
        assert!(loss.starts_with("Closed("), "{loss}");
        assert_eq!(output.push(b"nor this"), Pushed::Closed);
        assert_eq!(output.push_all_the_same(b"nor this"), Pushed::Closed);
        assert!(!output.is_full());
        output.finish(Instant::now() + SOON);
    }
}
