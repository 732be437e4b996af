//! Beside the path: the time without a connection, since when and why, said at least every half a minute.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A little less than the half a minute that is promised.
const REPEAT: Duration = Duration::from_secs(25);

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Outage {
    server: String,
    since: Instant,
    /// What the last attempt ended with, if one has.
    why: Option<String>,
    said: Instant,
}

impl Outage {
    /// It begins now.
    pub fn new(server: String) -> Self {
        let now = Instant::now();
        Self { server, since: now, why: None, said: now }
    }

    /// How long it has lasted.
    pub fn length(&self) -> Duration {
        self.since.elapsed()
    }

    /// An attempt has failed, or the connection has; the next attempt comes after a pause.
    pub fn goes_on(&mut self, why: &str, pause: Duration) {
        tracing::warn!(
            "MQTT server {}: {why}; trying again in {:.1} s{}",
            self.server,
            pause.as_secs_f32(),
            self.so_far()
        );
        self.why = Some(why.to_owned());
        self.said = Instant::now();
    }

    /// Waits for something, and says again that there is no connection when that takes long.
    pub async fn during<F: Future>(&mut self, something: F) -> F::Output {
        let mut something = pin!(something);
        loop {
            tokio::select! {
                biased;
                output = &mut something => return output,
                () = sleep_until(self.said + REPEAT) => {
                    let why = self.why.as_deref().unwrap_or("it has not answered yet");
                    tracing::warn!("MQTT server {}: {why}{}", self.server, self.so_far());
                    self.said = Instant::now();
                }
            }
        }
    }

    fn so_far(&self) -> String {
        match self.length().as_secs() {
            0..5 => String::new(),
            seconds => format!("; no connection for {seconds} s"),
        }
    }
}
