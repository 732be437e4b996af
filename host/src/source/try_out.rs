//! Tries the server out without leaving a trace: in a session of its own, which takes no message from
//! anybody and is forgotten at once.

use tokio::time::timeout;

use super::connection::{Connection, PATIENCE, SUBSCRIBE_ID};
use super::packet::{self, Incoming, Malformed};
use super::receive::check_subscription;
use super::{Broken, Settings};
use crate::filter;

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
    let settings = settings.aside("-check");
    let told = |broken: Broken| format!("MQTT server {}: {}", settings.server.name(), broken.what);
    connect(&settings).await.map_err(told)
}

async fn connect(settings: &Settings) -> Result<TriedOut, Broken> {
    let (mut connection, limits) = Connection::greet(settings).await?;
    limits.check(&settings.filters)?;
    let (shared, subscribed) =
        settings.filters.iter().cloned().partition(|one| filter::is_shared(one));
    let settings = Settings { filters: subscribed, ..settings.clone() };
    if !settings.filters.is_empty() {
        connection.subscribe(&settings, &limits)?;
        let granted = timeout(PATIENCE, subscription(&mut connection, &settings)).await;
        granted.map_err(|_| Broken::passing("it does not answer SUBSCRIBE in 10 s"))??;
    }
    connection.close().await;
    let client_id = settings.hello.client_id;
    Ok(TriedOut { client_id, subscribed: settings.filters, shared })
}

/// Waits for the answer to SUBSCRIBE. Messages may come before it; they are for nobody.
async fn subscription(connection: &mut Connection, settings: &Settings) -> Result<(), Broken> {
    while !connection.output.is_empty() {
        connection.write().await.map_err(|error| settings.server.trouble(&error))?;
    }
    loop {
        if !connection.skip() {
            connection.needed = 1;
            connection.read(&settings.server).await?;
            continue;
        }
        let bytes = connection.input.bytes();
        let frame = match packet::frame(bytes, connection.max_packet_size) {
            Ok(Ok(frame)) => frame,
            Ok(Err(needed)) => {
                connection.needed = needed;
                connection.read(&settings.server).await?;
                continue;
            }
            Err(Malformed::TooLarge { size, .. }) if packet::is_publish(bytes[0]) => {
                connection.skip = size;
                continue;
            }
            Err(malformed) => return Err(malformed.into()),
        };
        let size = frame.whole.len();
        if !packet::is_publish(frame.first) {
            match packet::incoming(connection.version, &frame)? {
                Incoming::SubAck { packet_id: SUBSCRIBE_ID, granted } => {
                    return check_subscription(&settings.filters, settings.qos, &granted);
                }
                Incoming::Disconnect { reason, .. } => {
                    return Err(Broken::passing(format!("it closed the connection: {reason}")));
                }
                _ => {}
            }
        }
        connection.input.consume(size);
    }
}
