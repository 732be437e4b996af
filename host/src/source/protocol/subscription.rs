//! SUBSCRIBE and UNSUBSCRIBE: what is asked of the server after each CONNACK, and what its answers
//! mean.

use super::Protocol;
use crate::filter;
use crate::message::Qos;
use crate::source::packet::{self, ServerLimits};
use crate::source::{Broken, Settings};

pub(super) const SUBSCRIBE_ID: u16 = 1;
pub(super) const UNSUBSCRIBE_ID: u16 = 2;

impl Protocol {
    /// Puts the subscription into the output, and takes back what is no longer wanted.
    pub(super) fn subscribe(&mut self) -> Result<(), Broken> {
        let Settings { hello, filters, unsubscribe, qos, .. } = &*self.settings;
        let (limits, output) = (&self.limits, &mut self.output);
        limits.check(filters)?;
        limits.tell(hello.properties.session_expiry);
        // Before the new ones, so that a filter never counts twice.
        if !unsubscribe.is_empty() && self.session_present != Some(false) {
            packet::unsubscribe(hello.version, UNSUBSCRIBE_ID, unsubscribe, output)?;
        }
        if filters.is_empty() {
            self.subscribed();
            return Ok(());
        }
        let before = output.len();
        packet::subscribe(hello.version, SUBSCRIBE_ID, filters, *qos, output)?;
        let (size, limit) = (output.len() - before, limits.max_packet_size);
        if let Some(limit) = limit.filter(|limit| size > *limit as usize) {
            return Err(Broken::permanent(format!(
                "it takes packets of up to {limit} bytes, and the subscription needs {size}; name fewer or shorter --topic"
            )));
        }
        Ok(())
    }
}

impl ServerLimits {
    /// Whether the server can do what a subscription to these filters needs.
    pub(in crate::source) fn check(&self, filters: &[String]) -> Result<(), Broken> {
        let find = |unable: bool, asks: fn(&str) -> bool| {
            filters.iter().find(|filter| unable && asks(filter))
        };
        let shared = find(self.no_shared_subscriptions, filter::is_shared);
        let wildcard = find(self.no_wildcards, |filter| filter.contains(['+', '#']));
        match (shared, wildcard) {
            (Some(filter), _) => Err(Broken::permanent(format!(
                "it has no shared subscriptions: write the filter {filter:?} without $share/GROUP/"
            ))),
            (None, Some(filter)) => Err(Broken::permanent(format!(
                "it takes no wildcards in topic filters: name the topics that {filter:?} stands for"
            ))),
            (None, None) => Ok(()),
        }
    }

    /// Says what the user may want to know. `asked` is how long the session was to be kept.
    fn tell(&self, asked: u32) {
        if let Some(kept) = self.session_expiry.filter(|kept| *kept < asked) {
            tracing::warn!(
                "the MQTT server keeps the session for {kept} s after a connection, not for {asked} s: \
                 what is published during a longer absence is lost"
            );
        }
        if let Some(information) = &self.response_information {
            tracing::info!("the MQTT server's response information is {information:?}");
        }
        if let Some(reason) = &self.reason {
            tracing::info!("the MQTT server says {reason:?}");
        }
    }
}

/// Whether the server lets this client have what it has subscribed to.
pub(super) fn check(
    filters: &[String],
    wanted: Qos,
    granted: &[Result<Qos, String>],
    text: Option<String>,
) -> Result<(), Broken> {
    if granted.len() != filters.len() {
        return Err(Broken::passing(format!(
            "it answered a subscription to {} topic filters with {} codes (MQTT-3.9.3-1)",
            filters.len(),
            granted.len()
        )));
    }
    for (filter, granted) in filters.iter().zip(granted) {
        match granted {
            Err(reason) => {
                return Err(Broken::permanent(format!(
                    "the subscription to {filter:?} is refused: {}",
                    packet::with_text(reason, text)
                )));
            }
            Ok(qos) if *qos < wanted => {
                tracing::warn!("the MQTT server grants only QoS {} for {filter:?}", *qos as u8);
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Says what became of filters that are no longer wanted.
pub(super) fn report_unsubscribed(filters: &[String], ended: &[Result<bool, String>]) {
    for (index, filter) in filters.iter().enumerate() {
        match ended.get(index) {
            Some(Ok(true)) | None => tracing::info!("unsubscribed from {filter:?}"),
            Some(Ok(false)) => {
                tracing::info!(
                    "there was no subscription to {filter:?}; --unsubscribe has no more use"
                );
            }
            Some(Err(reason)) => {
                tracing::warn!(
                    "the MQTT server does not end the subscription to {filter:?}: {reason}"
                );
            }
        }
    }
}
