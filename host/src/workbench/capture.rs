//! `host plugin capture`: messages as they are published, a JSON object a line.
//!
//! Read-only: a session of its own at quality of service 0, which takes no message from anybody.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::account::{Settled, Wake};
use crate::case::Sample;
use crate::filter;
use crate::message::{Batch, ConnectionEvent, Defect, Publish, Qos, Sequence};
use crate::source::{Control, Downstream, Settings, Source};

/// How many times the user has asked to stop.
type Stops = watch::Receiver<u32>;

/// Where lines go.
pub struct Output {
    /// For messages to the user.
    name: String,
    writer: Box<dyn Write + Send>,
}

impl Output {
    /// Makes a new file, or takes standard output.
    ///
    /// # Errors
    /// If there is such a file, or none can be made; the text names the cure.
    pub fn open(file: Option<PathBuf>) -> Result<Self, String> {
        let Some(file) = file else {
            let (name, writer) = ("standard output".to_owned(), Box::new(io::stdout()));
            return Ok(Self { name, writer });
        };
        let name = file.display().to_string();
        match File::create_new(&file) {
            Ok(file) => Ok(Self { name, writer: Box::new(BufWriter::new(file)) }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(format!("--output {name} is there already; name another file, or remove it"))
            }
            Err(error) => Err(format!("--output {name} cannot be made: {error}")),
        }
    }
}

/// Records messages until there are enough of them, time is up, or the user has seen enough; gives how
/// many.
///
/// # Errors
/// If the MQTT server cannot be used as configured, or the output cannot be written.
pub async fn run(
    settings: &Settings,
    output: Output,
    count: Option<u64>,
    time: Option<Duration>,
    mut stops: Stops,
) -> Result<u64, String> {
    let mut settings = settings.aside("-capture");
    settings.qos = Qos::AtMostOnce;
    for topic in &mut settings.filters {
        *topic = filter::unshared(topic).to_owned();
    }
    let (control, seen) = watch::channel(Control::Run);
    let (told, mut progress) = watch::channel(Progress::default());
    let wake = Arc::<Notify>::default();
    let recorder = Recorder {
        batch: Batch::new(),
        output,
        count,
        told,
        taken: 0,
        settled: 0,
        wake: Arc::clone(&wake),
    };
    let source = Source::new(settings, recorder, wake, seen).run();
    tokio::pin!(source);
    let up = async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = &mut source => Some(ended),
        () = up => None,
        _ = stops.wait_for(|stops| *stops > 0) => None,
        _ = progress.wait_for(|progress| progress.done) => None,
    };
    // The source, which listens, has not been dropped.
    let _ = control.send(Control::Drain);
    if let Some(ended) = ended {
        ended?;
    } else {
        tokio::select! {
            ended = source => ended?,
            _ = stops.wait_for(|stops| *stops > 1) => {}
        }
    }
    let Progress { written, failed, .. } = progress.borrow().clone();
    failed.map_or(Ok(written), Err)
}

/// What has been recorded.
#[derive(Debug, Clone, Default)]
struct Progress {
    written: u64,
    /// There is nothing more to do.
    done: bool,
    failed: Option<String>,
}

/// Writes messages as they come.
struct Recorder {
    batch: Batch,
    output: Output,
    count: Option<u64>,
    told: watch::Sender<Progress>,
    /// Messages that have come, and those of them that the source need not wait for any more.
    taken: Sequence,
    settled: Sequence,
    wake: Arc<Notify>,
}

impl Recorder {
    fn write(&mut self) -> io::Result<u64> {
        let left = self.count.map_or(u64::MAX, |count| count - self.told.borrow().written);
        let mut written = 0;
        for message in self.batch.messages().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            serde_json::to_writer(&mut self.output.writer, &Sample::of(&message))?;
            self.output.writer.write_all(b"\n")?;
            written += 1;
        }
        self.output.writer.flush()?;
        Ok(written)
    }
}

impl Downstream for Recorder {
    fn has_credit(&self, _: Qos) -> bool {
        true
    }

    fn take(&mut self, sequence: Sequence, received_at_ms: i64, publish: &Publish<'_>) {
        self.batch.push(sequence, received_at_ms, publish);
        self.taken += 1;
    }

    fn take_defective(&mut self, _: Sequence, _: i64, publish: &Publish<'_>, defect: Defect) {
        let why = defect.rejection().error;
        tracing::warn!("a message on {:?} is not recorded: {why}", publish.topic);
        self.taken += 1;
    }

    fn forward(&mut self) {
        if self.settled == self.taken {
            return;
        }
        self.settled = self.taken;
        let written = if self.told.borrow().done { Ok(0) } else { self.write() };
        self.batch.clear(1 << 20);
        self.wake.notify_one();
        self.told.send_modify(|progress| match written {
            Ok(written) => {
                progress.written += written;
                progress.done |= self.count.is_some_and(|count| progress.written >= count);
            }
            // Who reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => progress.done = true,
            Err(error) => {
                progress.done = true;
                progress.failed = Some(format!("{} cannot be written: {error}", self.output.name));
            }
        });
    }

    fn dropped(&mut self) {}

    fn let_go(&mut self) {}

    fn settled(&mut self, _: Wake) -> Settled {
        Settled { up_to: self.settled, all: self.settled == self.taken }
    }

    fn acknowledged(&mut self, _: u64) {}

    fn connection_event(&mut self, _: ConnectionEvent) {}
}
