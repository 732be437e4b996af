//! The times of a connection: how long the server may take to answer, and when to ping it.

use std::time::{Duration, Instant};

/// How long CONNACK, SUBACK and the answer to a ping may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub struct Clock {
    /// Zero: no pings (MQTT-3.1.2-22).
    keep_alive: Duration,
    /// The server owes CONNACK or SUBACK since then; named by the packet that it has to answer.
    owed: Option<(&'static str, Instant)>,
    /// The server owes the answer to a ping since then.
    ping_sent: Option<Instant>,
    /// The server has been sent nothing since then; `None` as long as no pings may be sent.
    last_sent: Option<Instant>,
}

impl Clock {
    /// The connection begins, and CONNECT is sent.
    pub fn start(now: Instant) -> Self {
        let owed = Some(("CONNECT", now));
        Self { keep_alive: Duration::ZERO, owed, ping_sent: None, last_sent: None }
    }

    /// CONNACK has come, and SUBSCRIBE is sent.
    pub fn accepted(&mut self, now: Instant, keep_alive: Duration) {
        self.keep_alive = keep_alive;
        (self.owed, self.last_sent) = (Some(("SUBSCRIBE", now)), Some(now));
    }

    /// SUBACK has come.
    pub fn subscribed(&mut self) {
        self.owed = None;
    }

    /// Bytes have been sent.
    pub fn sent(&mut self, now: Instant) {
        if let Some(last) = &mut self.last_sent {
            *last = now;
        }
    }

    /// Bytes have been received: the server is alive. SUBACK may come behind all that it has kept for this
    /// client.
    pub fn heard(&mut self, now: Instant) {
        self.ping_sent = None;
        if let Some(("SUBSCRIBE", since)) = &mut self.owed {
            *since = now;
        }
    }

    /// Reading goes on after a pause, in which answers may have waited to be read.
    pub fn goes_on(&mut self, now: Instant) {
        self.owed = self.owed.map(|(packet, _)| (packet, now));
        self.ping_sent = self.ping_sent.map(|_| now);
    }

    /// When [`Self::check_silence`] or [`Self::ping`] has something to say. While nothing is read no
    /// answer can come.
    pub fn due(&self, reading: bool) -> Option<Instant> {
        let owed = self.owed.filter(|_| reading).map(|(_, since)| since + PATIENCE);
        [owed, self.answer_due(reading), self.ping_due()].into_iter().flatten().min()
    }

    /// # Errors
    /// What the server has not answered in time.
    pub fn check_silence(&self, now: Instant, reading: bool) -> Result<(), String> {
        match self.owed.filter(|_| reading) {
            Some((packet, since)) if now >= since + PATIENCE => {
                Err(format!("it does not answer {packet} in {} s", PATIENCE.as_secs()))
            }
            _ if self.answer_due(reading).is_some_and(|due| now >= due) => {
                Err("it does not answer pings".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether a ping is to be sent now.
    pub fn ping(&mut self, now: Instant) -> bool {
        let due = self.ping_due().is_some_and(|due| now >= due);
        if due {
            self.sent(now);
            self.ping_sent.get_or_insert(now);
        }
        due
    }

    fn answer_due(&self, reading: bool) -> Option<Instant> {
        Some(self.ping_sent.filter(|_| reading)? + PATIENCE.max(self.keep_alive / 2))
    }

    fn ping_due(&self) -> Option<Instant> {
        let last = self.last_sent.filter(|_| !self.keep_alive.is_zero())?;
        Some(last + self.keep_alive.mul_f32(0.75))
    }
}
