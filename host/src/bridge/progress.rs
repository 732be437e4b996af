//! Says when Kafka is silent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::telemetry::Ledger;

/// Says when nothing gets confirmed although messages wait, again every half a minute, and when it
/// goes on.
pub async fn watch(ledger: Arc<Ledger>) -> Infallible {
    const GLANCE: Duration = Duration::from_secs(1);
    const SILENCE: Duration = Duration::from_secs(10);
    const REPEAT: Duration = Duration::from_secs(30);
    let (mut settled, mut since, mut said) = (0, Instant::now(), None);
    loop {
        sleep(GLANCE).await;
        let counts = ledger.counts();
        let now_settled = counts.delivered + counts.dead_lettered + counts.skipped;
        if now_settled != settled || counts.in_flight == 0 {
            if said.take().is_some() {
                tracing::info!(
                    "Kafka confirms messages again, after {} s",
                    since.elapsed().as_secs()
                );
            }
            (settled, since) = (now_settled, Instant::now());
        } else if since.elapsed() >= SILENCE
            && said.is_none_or(|said: Instant| said.elapsed() >= REPEAT)
        {
            said = Some(Instant::now());
            tracing::warn!(
                "{} messages wait, and Kafka has confirmed nothing for {} s; nothing is lost or acknowledged meanwhile",
                counts.in_flight,
                since.elapsed().as_secs()
            );
        }
    }
}
