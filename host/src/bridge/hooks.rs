//! Tells whoever wants to know of the connections, on a thread of its own: neither MQTT nor the
//! lanes wait for a hook.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Ended, Stop};
use crate::message::ConnectionEvent;

/// Called with each event, in order. An answer ends the program, and says why.
pub type Hook = Box<dyn FnMut(&ConnectionEvent) -> Option<String> + Send + Sync>;

/// How long the end of the program waits for hooks.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where news for the hook goes; nowhere without one.
#[derive(Clone)]
pub struct News(Option<mpsc::Sender<Item>>);

enum Item {
    Event(ConnectionEvent),
    /// Everything before this has been told.
    Told(oneshot::Sender<()>),
}

impl News {
    /// Starts a hook's thread. It ends when all clones of the answer are gone.
    pub fn start(hook: Option<Hook>, stop: &Arc<Stop>) -> Result<Self, String> {
        let Some(hook) = hook else {
            return Ok(Self(None));
        };
        let (sender, items) = mpsc::channel();
        let stop = Arc::clone(stop);
        std::thread::Builder::new()
            .name("hooks".to_owned())
            .spawn(move || tell_all(hook, &items, &stop))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self(Some(sender)))
    }

    pub fn tell(&self, event: ConnectionEvent) {
        if let Some(sender) = &self.0 {
            // The thread takes items as long as there is a sender.
            drop(sender.send(Item::Event(event)));
        }
    }

    /// Waits until everything has been told, but not for long.
    pub async fn settle(&self) {
        if let Some(sender) = &self.0 {
            let (told, all_told) = oneshot::channel();
            drop(sender.send(Item::Told(told)));
            drop(timeout(PATIENCE, all_told).await);
        }
    }
}

fn tell_all(mut hook: Hook, items: &mpsc::Receiver<Item>, stop: &Stop) {
    for item in items {
        match item {
            Item::Event(event) => {
                if let Some(why) = hook(&event) {
                    stop.end(Ended::Asked(why));
                }
            }
            // Whoever waited may have lost patience.
            Item::Told(told) => drop(told.send(())),
        }
    }
}
