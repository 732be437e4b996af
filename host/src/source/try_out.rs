//! Beside the path: tries the server out without leaving a trace: in a session of its own, which takes no message from
//! anybody and is forgotten at once.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::connection::{Connection, Ends};
use super::protocol::Protocol;
use super::{Broken, Control, Downstream, Settings};
use crate::account::{Settled, Wake};
use crate::filter;
use crate::message::{ConnectionEvent, Defect, Publish, Qos, Sequence};

/// What the server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedOut {
    /// The name of this session: a client with the configured one may be running.
    pub client_id: String,
    /// The filters that it was subscribed to.
    pub subscribed: Vec<String>,
    /// Shared subscriptions: they would take messages from the others in the group.
    pub shared: Vec<String>,
}

/// Connects and subscribes as these settings say, but in a session of its own, and leaves again.
///
/// # Errors
/// Why that is not possible, in one line that names the cure.
pub async fn try_out(settings: &Settings) -> Result<TriedOut, String> {
    let mut settings = settings.aside("-check");
    let filters = std::mem::take(&mut settings.filters);
    let (shared, subscribed) = filters.into_iter().partition(|one| filter::is_shared(one));
    settings.filters = subscribed;
    let settings = Arc::new(settings);
    let told = |broken: Broken| format!("MQTT server {}: {}", settings.server.name(), broken.what);
    connect(&settings, &shared).await.map_err(told)?;
    let Settings { hello, filters, .. } = &*settings;
    Ok(TriedOut { client_id: hello.client_id.clone(), subscribed: filters.clone(), shared })
}

async fn connect(settings: &Arc<Settings>, shared: &[String]) -> Result<(), Broken> {
    let mut protocol = Protocol::new(Arc::clone(settings));
    let (wake, (_sender, mut control)) = (Notify::new(), watch::channel(Control::Run));
    let (protocol, wake, control) = (&mut protocol, &wake, &mut control);
    let ends = Ends { protocol, downstream: &mut Nobody, wake, control };
    let mut connection = Connection::open(settings, ends).await?;
    protocol.limits().check(shared)?;
    let ends = Ends { protocol, downstream: &mut Nobody, wake, control };
    connection.run(ends, Protocol::is_subscribed).await?;
    connection.close(protocol).await;
    Ok(())
}

/// Messages that come before the answer to SUBSCRIBE are for nobody, and not acknowledged.
struct Nobody;

impl Downstream for Nobody {
    fn has_credit(&self, _: Qos) -> bool {
        true
    }

    fn take(&mut self, _: Sequence, _: i64, _: &Publish<'_>) {}

    fn take_defective(&mut self, _: Sequence, _: i64, _: &Publish<'_>, _: Defect) {}

    fn forward(&mut self) {}

    fn dropped(&mut self) {}

    fn let_go(&mut self) {}

    fn settled(&mut self, _: Wake) -> Settled {
        Settled { up_to: 0, all: true }
    }

    fn acknowledged(&mut self, _: u64) {}

    fn connection_event(&mut self, _: ConnectionEvent) {}
}
