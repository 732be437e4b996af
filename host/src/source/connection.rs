//! The I/O of one connection: moves bytes between the socket and [`Protocol`].

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::delay::Delay;
use super::dial::{Server, Stream};
use super::input::Input;
use super::pace::Pace;
use super::packet;
use super::protocol::{Arrival, Protocol};
use super::{Broken, Control, Downstream, Settings};
use crate::account::Wake;
use crate::message::now_ms;

/// How long the server may take to hang up after DISCONNECT.
const GOODBYE: Duration = Duration::from_secs(3);

/// What a connection moves bytes for.
pub(super) struct Ends<'a, D> {
    pub protocol: &'a mut Protocol,
    pub downstream: &'a mut D,
    /// Notified when something was confirmed, or credit came back.
    pub wake: &'a Notify,
    pub control: &'a mut watch::Receiver<Control>,
}

/// An open connection.
pub(super) struct Connection<'a> {
    server: &'a Server,
    max_delay: Duration,
    stream: Stream,
    input: Input,
}

impl<'a> Connection<'a> {
    /// Connects, and waits until the server has accepted that.
    pub async fn open(
        settings: &'a Settings,
        ends: Ends<'_, impl Downstream>,
    ) -> Result<Self, Broken> {
        let Settings { server, max_delay, .. } = settings;
        let (max_delay, stream) = (*max_delay, server.dial().await?);
        let mut connection = Self { server, max_delay, stream, input: Input::new() };
        ends.protocol.connect(Instant::now())?;
        connection.run(ends, Protocol::is_accepted).await?;
        Ok(connection)
    }

    /// Moves bytes until something has come about.
    pub async fn run(
        &mut self,
        mut ends: Ends<'_, impl Downstream>,
        until: impl Fn(&Protocol) -> bool,
    ) -> Result<(), Broken> {
        let (mut timer, mut hung_up) = (pin!(sleep(Duration::ZERO)), false);
        let (mut pace, mut delay, mut has_read) =
            (Pace::new(self.max_delay, Instant::now()), Delay::default(), None);
        loop {
            let (known, now) = (ends.protocol.received(), Instant::now());
            let delays = pace.is_free() && delay.until(now).is_some();
            let has_acknowledged = self.look(&mut ends, delays, now)?;
            let Self { server, stream, input, .. } = self;
            let Ends { protocol, downstream, wake, control } = &mut ends;
            if until(protocol) {
                return Ok(());
            }
            let (just_read, messages) = (has_read.take(), protocol.received() - known);
            delay.seen(messages > 0, has_acknowledged, now);
            if let Some(all) = just_read {
                pace.read(messages as u32, all, Instant::now());
            }
            // Nothing but a read or this timer wakes the thread then.
            let delays = delays && protocol.unacknowledged() > 0;
            let leaves = delays.then(|| delay.until(now).unwrap_or(now));
            let due = protocol.next_timeout().into_iter().chain(leaves).min();
            let due = due.map(tokio::time::Instant::from);
            let is_early = |due: &_| delays || timer.is_elapsed() || *due < timer.deadline();
            if let Some(due) = due.filter(is_early) {
                timer.as_mut().reset(due);
            }
            let (reading, needed) = (protocol.is_reading(), protocol.needed());
            let writing = !protocol.output().is_empty() && !hung_up;
            if let Some(rest) = pace.rest().filter(|_| !writing) {
                // Nothing else runs on this thread. What happens meanwhile is dealt with at once.
                std::thread::sleep(rest);
                protocol.settle(downstream.settled(protocol.wake()));
            }
            // Nothing may be sent for a while that tells the server of what has been read; it may hold back
            // what it has to send until then.
            if just_read.is_some() && protocol.is_behind() && !writing {
                stream.receipt();
            }
            let space = if reading { input.space(needed) } else { &mut [] };
            let room = space.len();
            tokio::select! {
                biased;
                () = wake.notified() => {}
                written = stream.writer.write(protocol.output()), if writing => match written {
                    Ok(written @ 1..) => protocol.written(written, Instant::now()),
                    // Before CONNACK: it may have said why, and that is still to be read.
                    _ if !protocol.is_accepted() => hung_up = true,
                    Ok(0) => return Err(Broken::hung_up()),
                    Err(error) => return Err(server.trouble(&error)),
                },
                read = stream.reader.read(space), if reading => match read {
                    Ok(read @ 1..) => {
                        input.filled(read);
                        has_read = Some(read < room);
                    }
                    end => return Err(lost(server, protocol, end.err().as_ref())),
                },
                // After reading: what has come must not count as missing because this took long.
                () = &mut timer, if due.is_some() => {
                    let punctual = protocol.handle_timeout(Instant::now());
                    let accepted = protocol.is_accepted();
                    punctual.map_err(|broken| if accepted { broken } else { server.silent() })?;
                }
                // Its sender lives as long as the program.
                Ok(()) = control.changed() => {}
            }
        }
    }

    /// Deals with what has come about: orders, confirmations, and bytes that have been read. Whether
    /// anything is acknowledged. `delays`: a confirmation of a single message need not wake this thread.
    fn look(
        &mut self,
        ends: &mut Ends<'_, impl Downstream>,
        delays: bool,
        now: Instant,
    ) -> Result<bool, Broken> {
        let Ends { protocol, downstream, control, .. } = ends;
        let Self { server, input, .. } = self;
        protocol.obey(*control.borrow_and_update());
        let foreign = (!protocol.is_accepted()).then(|| server.other_protocol(input.bytes()));
        if let Some(broken) = foreign.flatten() {
            return Err(broken);
        }
        let wake = protocol.wake();
        let delays = delays && wake == Wake::Further;
        protocol.settle(downstream.settled(if delays { Wake::Never } else { wake }));
        let arrival = Arrival { now, at_ms: now_ms() };
        let received = protocol.receive(input.bytes(), arrival, *downstream)?;
        input.consume(received);
        let mut messages = protocol.acknowledge();
        if delays && protocol.unacknowledged() > 1 {
            protocol.settle(downstream.settled(wake));
            messages += protocol.acknowledge();
        }
        if messages > 0 {
            downstream.acknowledged(messages);
        }
        Ok(messages > 0)
    }

    /// Says goodbye, so that the server does not publish the last will, unless it is to.
    ///
    /// Then reads on until the server hangs up: closing a connection with unread messages in it
    /// would reset it, and the server might never see the last acknowledgements.
    pub async fn close(&mut self, protocol: &Protocol) {
        let Self { stream, input, .. } = self;
        let goodbye = async {
            if !protocol.is_leaving() {
                stream.writer.write_all(&packet::DISCONNECT).await?;
            }
            stream.writer.shutdown().await?;
            loop {
                input.consume(input.bytes().len());
                if stream.reader.read(input.space(1)).await? == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        // What it does not get to know comes again, no more.
        drop(timeout(GOODBYE, goodbye).await);
    }
}

/// What the end of the stream means, or a failed read.
fn lost(server: &Server, protocol: &Protocol, error: Option<&io::Error>) -> Broken {
    match error {
        _ if !protocol.is_accepted() => server.unanswered(error),
        None => Broken::hung_up(),
        Some(error) => server.trouble(error),
    }
}
