//! What is done with packets other than PUBLISH.

use std::time::{Duration, Instant};

use super::subscription::{self, SUBSCRIBE_ID, UNSUBSCRIBE_ID};
use super::{Phase, Protocol};
use crate::source::packet::{self, ConnAck, Frame, Incoming};
use crate::source::{Broken, Nature, Settings};

const AUTH: &str = "it wants a further step of authentication (AUTH), and only methods that need none work here; see --property authentication-method";

impl Protocol {
    /// Reads what the server answers to CONNECT, and subscribes.
    pub(super) fn receive_answer(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), Broken> {
        const OTHER: &str = "it answered CONNECT with another packet than CONNACK";
        let version = self.settings.hello.version;
        let ack = match packet::incoming(version, frame) {
            Ok(Incoming::ConnAck(ack)) => ack,
            Ok(Incoming::Auth) => return Err(Broken::permanent(AUTH)),
            Ok(_) => return Err(Broken::passing(OTHER)),
            Err(malformed) => return Err(malformed.into()),
        };
        let ConnAck { session_present, answer, limits } = ack;
        answer.map_err(|refusal| {
            let what = format!("connection refused: {}", refusal.reason);
            if refusal.permanent { Broken::permanent(what) } else { Broken::passing(what) }
        })?;
        let keep_alive = limits.keep_alive.unwrap_or(self.settings.hello.keep_alive);
        (self.session_present, self.limits) = (session_present, limits);
        if session_present == Some(false) || self.settings.hello.clean_session {
            self.packet_ids.forget();
        }
        self.clock.accepted(now, Duration::from_secs(keep_alive.into()));
        self.phase = Phase::Accepted;
        self.subscribe()
    }

    /// Does what a packet other than PUBLISH asks for.
    pub(super) fn react(&mut self, frame: &Frame<'_>) -> Result<(), Broken> {
        match packet::incoming(self.settings.hello.version, frame)? {
            Incoming::SubAck { packet_id: SUBSCRIBE_ID, granted, text } => {
                let Settings { filters, qos, .. } = &*self.settings;
                subscription::check(filters, *qos, &granted, text)?;
                self.subscribed();
            }
            Incoming::UnsubAck { packet_id: UNSUBSCRIBE_ID, ended } => {
                subscription::report_unsubscribed(&self.settings.unsubscribe, &ended);
            }
            // Whatever the id: a server that has lost track of the message must not wait for ever.
            Incoming::PubRel(packet_id) => {
                self.packet_ids.released(packet_id);
                packet::complete(packet_id, &mut self.output);
            }
            Incoming::Disconnect { reason, taken_over: true } => {
                return Err(Broken { nature: Nature::TakenOver, ..Broken::passing(reason) });
            }
            Incoming::Disconnect { reason, .. } => {
                return Err(Broken::passing(format!("it closed the connection: {reason}")));
            }
            Incoming::ConnAck(_) => return Err(Broken::passing("it sent a second CONNACK")),
            Incoming::Auth => return Err(Broken::passing("it sent AUTH without being asked")),
            Incoming::SubAck { .. }
            | Incoming::UnsubAck { .. }
            | Incoming::PingResp
            | Incoming::Other => {}
        }
        Ok(())
    }

    pub(super) fn subscribed(&mut self) {
        self.phase = Phase::Subscribed;
        self.clock.subscribed();
    }
}
