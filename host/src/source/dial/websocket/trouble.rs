//! What becomes of a websocket that fails, in words that name the cure.

use std::io;

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::Websocket;
use crate::source::Broken;
use crate::source::dial::is_end;

impl Websocket {
    /// What the port may speak instead.
    pub(super) fn other_protocols(&self) -> &'static str {
        if self.request.uri().scheme_str() == Some("wss") {
            "if this port speaks MQTT itself, leave out --transport websocket"
        } else {
            "if this port speaks MQTT itself, leave out --transport websocket, and if it speaks TLS, --tls-enabled=false"
        }
    }

    /// The server does not go over to websockets.
    pub(super) fn refused(&self, error: Error) -> Broken {
        let (path, others) = (self.path(), self.other_protocols());
        match error {
            Error::Http(response) => self.answered(&response),
            Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
                Broken::permanent(format!(
                    "its websocket on {path} is none for MQTT: it does not agree to the subprotocol \"mqtt\" (MQTT-6.0.0-4); give the path of MQTT with --websocket-path"
                ))
            }
            Error::Protocol(ProtocolError::HandshakeIncomplete) => Broken::permanent(format!(
                "it closed the connection instead of answering the websocket's request; {others}"
            )),
            Error::Io(error) if is_end(&error) => Broken::permanent(format!(
                "it closed the connection instead of answering the websocket's request; {others}"
            )),
            Error::Io(error) => Broken::passing(format!("the websocket's request failed: {error}")),
            Error::Protocol(ProtocolError::HttparseError(_)) | Error::AttackAttempt => {
                Broken::permanent(format!(
                    "it does not answer the websocket's request in HTTP; {others}"
                ))
            }
            other => Broken::permanent(format!(
                "it does not go over to a websocket on {path}: {other}; give the path of MQTT with --websocket-path"
            )),
        }
    }

    /// It answered in HTTP, but with another status than 101.
    fn answered(&self, response: &Response) -> Broken {
        let path = self.path();
        let status = response.status();
        let location = response.headers().get("Location").and_then(|place| place.to_str().ok());
        match status {
            StatusCode::NOT_FOUND => Broken::permanent(format!(
                "it has no websocket on {path} (HTTP {status}); give the path that it serves MQTT on with --websocket-path"
            )),
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Broken::permanent(format!(
                "it lets nobody in on {path} without credentials in HTTP (HTTP {status}), and --username is only for MQTT; a token may go into --websocket-path, or let MQTT's login alone decide there"
            )),
            _ if status.is_redirection() => Broken::permanent(format!(
                "its websocket is somewhere else (HTTP {status}, {}); give that with --server, --port and --websocket-path",
                location.unwrap_or("it does not say where")
            )),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Broken::passing(format!("it answers the websocket's request with HTTP {status}"))
            }
            _ if status.is_server_error() => Broken::passing(format!(
                "it answers the websocket's request with HTTP {status}; what is behind it may be away"
            )),
            _ => Broken::permanent(format!(
                "it serves no websocket on {path} (HTTP {status}); give the path of MQTT with --websocket-path; {}",
                self.other_protocols()
            )),
        }
    }
}

/// MQTT allows only binary messages.
pub(super) fn text() -> io::Error {
    io::Error::other(Broken::permanent(
        "it sent a text message over the websocket, and MQTT has only binary ones (MQTT-6.0.0-1); give the path of MQTT with --websocket-path",
    ))
}

/// The other end has closed the websocket.
pub(super) fn closed<T>(frame: Option<CloseFrame>) -> io::Result<T> {
    Err(io::Error::other(match frame {
        None => Broken::hung_up(),
        Some(frame) if frame.reason.is_empty() => {
            Broken::passing(format!("it closed the websocket with code {}", frame.code))
        }
        // On one line, whatever it says.
        Some(frame) => Broken::passing(format!(
            "it closed the websocket with code {}: {:?}",
            frame.code,
            frame.reason.as_str()
        )),
    }))
}

/// The websocket can be used no more.
pub(super) fn failed<T: Default>(error: Error) -> io::Result<T> {
    let broken = match error {
        Error::Io(error) => return Err(error),
        // The end, as it is without a websocket.
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
        ) => return Ok(T::default()),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            Broken::passing(format!(
                "it sent a websocket message of {size} bytes, more than {max_size}; raise --max-packet-size, or have smaller ones sent"
            ))
        }
        other => Broken::passing(format!("its websocket is out of order: {other}")),
    };
    Err(io::Error::other(broken))
}
