//! For tests: what the fuzzer `session` of `host/fuzz` calls, and the test that goes through what it has found.
//!
//! Bytes from which a session with a server is made: what the server sends, in pieces, between which
//! Kafka confirms, credit comes and goes, time passes, and connections break. Whatever they are,
//! nothing panics, nothing is acknowledged that Kafka does not have, and the protocol neither spins
//! nor asks for more bytes than a packet may have.

use std::time::Duration;

use super::packet::Version;
use super::protocol::rig::{MAX_PACKET_SIZE, Rig, connack, packets, suback};
use crate::message::Qos;

/// What precedes the payload of a message that is too large, and what is kept of it, at most.
const LARGEST_START: usize = 5 + 2 + 65_535 + 2 + 65_536 + 65_536;

/// A session that goes as these bytes say.
pub fn session(bytes: &[u8]) {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let version = [Version::V3_1, Version::V3_1_1, Version::V5][usize::from(first) % 3];
    let mut rig = Rig::new(version);
    let mut confirmed = 0;
    rig.connect();
    // Most of it is of interest after CONNACK, and CONNACK itself is hard to find.
    let mut told = if first & 0x80 == 0 {
        rig.receive(&[connack(version, true), suback(version)].concat())
    } else {
        Ok(())
    };
    rig.written();
    while let Some((&what, more)) = rest.split_first() {
        rest = more;
        let size = usize::from(what >> 3).min(rest.len());
        told = told.and_then(|()| match what & 7 {
            0 => {
                for _ in 0..size.min(rig.kept.taken.len() - confirmed) {
                    rig.confirm(confirmed);
                    confirmed += 1;
                }
                Ok(())
            }
            1 => {
                rig.kept.credit = [what & 8 != 0, what & 16 != 0];
                rig.receive(&[])
            }
            2 => rig.pass(Duration::from_secs(u64::from(what >> 3))),
            3 => {
                rig.connect();
                rig.receive(&connack(version, what & 8 != 0))
            }
            _ => {
                let (piece, more) = rest.split_at(size);
                rest = more;
                rig.receive(piece)
            }
        });
        assert!(rig.protocol.needed() <= MAX_PACKET_SIZE.max(LARGEST_START));
        let written = rig.written();
        for (first, id) in packets(&written).filter(|(first, _)| matches!(first, 0x40 | 0x50)) {
            let qos = if first == 0x40 { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
            let mut safe = rig.kept.taken[..confirmed].iter();
            assert!(safe.any(|taken| (taken.packet_id, taken.qos) == (id, qos)), "{first:x} {id}");
        }
        if told.is_err() {
            rig.connect();
            told = rig.receive(&connack(version, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    #[test]
    fn everything_that_was_found_to_be_interesting_does_no_harm() {
        for bytes in corpus::of("session") {
            session(&bytes);
        }
    }

    #[test]
    fn a_session_that_is_damaged_anywhere_or_ends_anywhere_does_no_harm() {
        corpus::damaged("session", session);
    }
}
