//! Before the path: reaches the MQTT server by name, TCP, TLS, websocket. Every way in which that fails gets its own
//! words.

mod flushed;
mod tcp;
mod tls;
mod websocket;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Broken;
use flushed::Flushed;
use tcp::Receipts;
pub use tls::{ClientFiles, Tls, TlsSettings};
pub use websocket::Websocket;

/// How long one address, the TLS handshake, or the websocket's handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the server, in two halves. Reads and writes can be dropped while they wait; what
/// a dropped write offered must be offered again by the next one, with more behind it or not. A
/// write needs no flush.
pub struct Stream {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    receipts: Receipts,
}

impl Stream {
    fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static, receipts: Receipts) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: Box::new(reader), writer: Box::new(Flushed::new(writer)), receipts }
    }

    /// Has TCP acknowledge what has come, which it otherwise does with the next bytes to be written, or
    /// after some 40 ms. A server that gathers small packets (Nagle's algorithm; mosquitto does unless
    /// `set_tcp_nodelay` is on) sends nothing more until then.
    pub fn receipt(&self) {
        self.receipts.send();
    }
}

/// What may be wrong where a server does not answer in plain text.
const PLAIN: &str = "; if this port speaks TLS, leave out --tls-enabled=false";

/// Where the server is, and how to speak to it.
#[derive(Clone)]
pub struct Server {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// `None` is plain text.
    pub tls: Option<Tls>,
    /// `None` is MQTT straight over TCP or TLS.
    pub websocket: Option<Websocket>,
}

/// A host and its port in one text: only an IPv6 address needs brackets for that.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Server {
    /// `HOST:PORT`, for messages.
    pub fn name(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Connects to the first address that answers.
    pub(super) async fn dial(&self) -> Result<Stream, Broken> {
        let tcp = tcp::connect(&self.host, self.port).await?;
        let receipts = Receipts::of(&tcp);
        // Handshakes are large and rare: boxes keep them out of the future of the whole connection.
        match (&self.tls, &self.websocket) {
            (None, None) => {
                let (reader, writer) = tcp.into_split();
                Ok(Stream { reader: Box::new(reader), writer: Box::new(writer), receipts })
            }
            (Some(tls), None) => Ok(Stream::over(Box::pin(tls.handshake(tcp)).await?, receipts)),
            (None, Some(websocket)) => {
                Ok(Stream::over(Box::pin(websocket.handshake(tcp)).await?, receipts))
            }
            (Some(tls), Some(websocket)) => {
                let tls = Box::pin(tls.handshake(tcp)).await?;
                Ok(Stream::over(Box::pin(websocket.handshake(tls)).await?, receipts))
            }
        }
    }

    /// What a failed read or write means.
    pub(super) fn trouble(&self, error: &io::Error) -> Broken {
        if let Some(broken) = error.get_ref().and_then(|inner| inner.downcast_ref::<Broken>()) {
            return broken.clone();
        }
        if let Some(broken) = self.tls.as_ref().and_then(|tls| tls.trouble(error)) {
            return broken;
        }
        match error.kind() {
            // TLS says so when it was not closed in due form.
            io::ErrorKind::UnexpectedEof => Broken::hung_up(),
            _ => Broken::passing(format!("the connection failed: {error}")),
        }
    }

    /// What a failed read or write before CONNACK means; no error is the end of the connection.
    pub(super) fn unanswered(&self, error: Option<&io::Error>) -> Broken {
        match error {
            Some(error) if !is_end(error) => self.trouble(error),
            _ => Broken::passing("it closed the connection instead of answering CONNECT")
                .suspect(if self.is_plain() { PLAIN } else { "; its log may say why" }),
        }
    }

    /// What a server means that has not answered CONNECT for so long.
    pub(super) fn silent(&self) -> Broken {
        Broken::passing("it accepts the connection and does not answer CONNECT in 10 s")
            .suspect(if self.is_plain() { PLAIN } else { "" })
    }

    /// Whether these first bytes of the server are another protocol's: which one, and the cure.
    pub(super) fn other_protocol(&self, bytes: &[u8]) -> Option<Broken> {
        match bytes {
            // A record of TLS that holds an alert: no version of MQTT answers CONNECT like that.
            [0x15, 0x03, ..] if self.is_plain() => {
                Some(Broken::permanent("it speaks TLS on this port; leave out --tls-enabled=false"))
            }
            [b'H', b'T', b'T', b'P', ..] if self.websocket.is_none() => Some(Broken::passing(
                "it speaks HTTP on this port; for MQTT over websockets give --transport websocket",
            )),
            _ => None,
        }
    }

    fn is_plain(&self) -> bool {
        self.tls.is_none() && self.websocket.is_none()
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}
