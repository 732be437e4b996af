//! MQTT over websockets (MQTT 5, section 6): a stream of bytes in binary messages, whose borders
//! mean nothing (MQTT-6.0.0-2).

mod trouble;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::PATIENCE;
use crate::source::Broken;

/// What the subprotocol is called in any version of MQTT (MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";
/// What is read from the connection at once, in bytes.
const BUFFER: usize = 64 * 1024;
/// Largest message of a websocket that is taken in any case, in bytes: it is held in memory whole.
const LARGEST: usize = 64 * 1024 * 1024;

/// Where on the server the websocket is, and how much of it is taken at once.
#[derive(Debug, Clone)]
pub struct Websocket {
    request: Request,
    /// Largest message taken, in bytes.
    largest: usize,
}

impl Websocket {
    /// For a path with an optional query on a server of this name, over TLS or not.
    /// `max_packet_size` is that of MQTT, in bytes: such a packet may come in one message.
    ///
    /// # Errors
    /// If there can be no such path.
    pub fn new(
        host: &str,
        port: u16,
        tls: bool,
        path: &str,
        max_packet_size: usize,
    ) -> Result<Self, String> {
        let scheme = if tls { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{path}", super::authority(host, port));
        let mut request = url
            .into_client_request()
            .map_err(|error| format!("--websocket-path {path:?} is of no use: {error}; give the path that the server serves MQTT on, e.g. /mqtt"))?;
        let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
        Ok(Self { request, largest: LARGEST.max(max_packet_size + BUFFER) })
    }

    fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// Asks the server to go over to websockets.
    pub(super) async fn handshake<S>(&self, stream: S) -> Result<Bytestream<S>, Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .max_frame_size(Some(self.largest))
            .max_message_size(Some(self.largest));
        let upgrade = client_async_with_config(self.request.clone(), stream, Some(config));
        match timeout(PATIENCE, upgrade).await {
            Ok(Ok((socket, _))) => Ok(Bytestream { socket, rest: Bytes::new(), end: None }),
            Ok(Err(error)) => Err(self.refused(error)),
            Err(_) => Err(Broken::passing(format!(
                "it accepts the connection and does not answer the websocket's request in 10 s; {}",
                self.other_protocols()
            ))),
        }
    }
}

/// A websocket as a stream of bytes.
pub(super) struct Bytestream<S> {
    socket: WebSocketStream<S>,
    /// What has come and is not read yet.
    rest: Bytes,
    /// Why nothing more will come.
    end: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytestream<S> {
    /// The bytes of the next message; none is the end.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {}
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(Ok(bytes)),
                // Reading on answers a ping.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(trouble::text())),
                Some(Ok(Message::Close(frame))) => return Poll::Ready(trouble::closed(frame)),
                Some(Err(error)) => return Poll::Ready(trouble::failed(error)),
                None => return Poll::Ready(Ok(Bytes::new())),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Bytestream<S> {
    /// Reads as many messages as there are and fit: a server may send one for each packet.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = space.filled().len();
        loop {
            let size = self.rest.len().min(space.remaining());
            space.put_slice(&self.rest[..size]);
            self.rest.advance(size);
            if space.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let something = space.filled().len() > before;
            if !something && let Some(error) = self.end.take() {
                return Poll::Ready(Err(error));
            }
            match self.poll_more(context) {
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(bytes)) => self.rest = bytes,
                Poll::Ready(Err(error)) if something => {
                    self.end = Some(error);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if something => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Bytestream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.socket);
        if let Err(error) = ready!(socket.as_mut().poll_ready(context)) {
            return Poll::Ready(trouble::failed(error));
        }
        match socket.start_send(Message::Binary(Bytes::copy_from_slice(bytes))) {
            Ok(()) => Poll::Ready(Ok(bytes.len())),
            Err(error) => Poll::Ready(trouble::failed(error)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(context));
        Poll::Ready(flushed.or_else(trouble::failed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = ready!(Pin::new(&mut self.socket).poll_close(context));
        Poll::Ready(closed.or_else(trouble::failed))
    }
}
