//! An MQTT server on websockets that does what a test tells it, frame by frame.

use std::net::TcpStream;

use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, StatusCode};
pub use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};
use tokio_tungstenite::tungstenite::{WebSocket, accept_hdr};

use crate::SOON;
use crate::listener::Listener;
use crate::wire::{self, Connect, Packet, Version};

/// How a server answers the request for a websocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As MQTT asks for.
    Mqtt,
    /// With a websocket that agrees to no subprotocol.
    NoSubprotocol,
    /// With an HTTP status, and a header.
    Status(u16, &'static str, &'static str),
}

/// The listening side.
#[derive(Debug)]
pub struct WebsocketServer {
    listener: Listener,
}

impl WebsocketServer {
    pub fn start() -> Self {
        Self { listener: Listener::start() }
    }

    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Waits for the next client and answers its request; what it asked for comes back.
    ///
    /// # Panics
    /// If no client connects, or it does not speak HTTP.
    #[allow(
        clippy::result_large_err,
        reason = "tungstenite says what the callback returns, and this is once for each test"
    )]
    pub fn answer(&self, answer: Answer) -> (Asked, Option<WebSocket<TcpStream>>) {
        let stream = self.listener.accept();
        stream.set_read_timeout(Some(SOON)).expect("a TCP option");
        let mut asked = None;
        let respond = |request: &Request, mut response: Response| {
            let header = |name: &str| {
                let value = request.headers().get(name)?;
                Some(value.to_str().expect("a header in ASCII").to_owned())
            };
            asked = Some(Asked {
                path: request.uri().to_string(),
                host: header("Host"),
                subprotocol: header("Sec-WebSocket-Protocol"),
            });
            match answer {
                Answer::Mqtt => {
                    let mqtt = HeaderValue::from_static("mqtt");
                    response.headers_mut().insert("Sec-WebSocket-Protocol", mqtt);
                    Ok(response)
                }
                Answer::NoSubprotocol => Ok(response),
                Answer::Status(code, name, value) => {
                    let mut refusal = ErrorResponse::new(None);
                    *refusal.status_mut() = StatusCode::from_u16(code).expect("a status");
                    refusal
                        .headers_mut()
                        .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
                    Err(refusal)
                }
            }
        };
        let socket = accept_hdr(stream, respond).ok();
        (asked.expect("the client asks in HTTP"), socket)
    }

    /// Waits for the next client, gives it its websocket, and reads its CONNECT packet.
    ///
    /// # Panics
    /// If it does not come that far.
    pub fn accept(&self) -> Connection {
        let (asked, socket) = self.answer(Answer::Mqtt);
        let socket = socket.expect("the client takes the websocket");
        let mut connection =
            Connection { socket, asked, version: Version::V311, bytes: Vec::new() };
        let Packet::Connect(connect) = connection.next_packet() else {
            panic!("a client's first packet is not CONNECT");
        };
        connection.version = Connect::version(&connect);
        connection
    }

    /// Waits for the next client, and lets it in and subscribe.
    ///
    /// # Panics
    /// If it does not connect or subscribe.
    pub fn accept_and_subscribe(&self) -> Connection {
        let mut connection = self.accept();
        connection.send(wire::connack(connection.version, false, 0, &[]));
        match connection.next_packet() {
            Packet::Subscribe { id, filters } => {
                let codes: Vec<u8> = filters.iter().map(|(_, qos)| qos & 3).collect();
                connection.send(wire::suback(connection.version, id, &codes));
            }
            other => panic!("instead of SUBSCRIBE came {other:?}"),
        }
        connection
    }
}

/// What a client asked for in HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// With the query.
    pub path: String,
    pub host: Option<String>,
    pub subprotocol: Option<String>,
}

/// One connection of a client.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocket<TcpStream>,
    pub asked: Asked,
    pub version: Version,
    bytes: Vec<u8>,
}

impl Connection {
    /// Sends these bytes as one binary message.
    pub fn send(&mut self, bytes: impl Into<Bytes>) {
        self.send_message(Message::Binary(bytes.into()));
    }

    /// # Panics
    /// If the client has hung up.
    pub fn send_message(&mut self, message: Message) {
        self.socket.send(message).expect("the client is still there");
    }

    /// Sends a message that the client may hang up on before it has all of it.
    pub fn offer(&mut self, bytes: impl Into<Bytes>) {
        drop(self.socket.send(Message::Binary(bytes.into())));
    }

    /// The next message that is not empty, whatever it is.
    ///
    /// # Panics
    /// If none comes.
    pub fn next_message(&mut self) -> Message {
        self.socket.read().expect("the client sends a message")
    }

    /// The next packet but for keep-alives, which are answered; MQTT has only binary messages.
    ///
    /// # Panics
    /// If another message comes, or none.
    pub fn next_packet(&mut self) -> Packet {
        loop {
            let mut rest = self.bytes.as_slice();
            if let Ok(Some((first, body))) = wire::read(&mut rest) {
                self.bytes = rest.to_vec();
                match wire::decode(self.version, first, &body) {
                    Packet::PingReq => self.send(wire::PINGRESP.to_vec()),
                    packet => return packet,
                }
                continue;
            }
            match self.next_message() {
                Message::Binary(bytes) => self.bytes.extend_from_slice(&bytes),
                other => panic!("instead of a binary message came {other:?}"),
            }
        }
    }

    /// Waits for so many PUBACK packets; the answer is their packet ids in order.
    ///
    /// # Panics
    /// If something else comes, or not enough.
    pub fn acknowledged(&mut self, count: usize) -> Vec<u16> {
        let id = |packet| match packet {
            Packet::PubAck(id) => id,
            other => panic!("instead of PUBACK came {other:?}"),
        };
        (0..count).map(|_| id(self.next_packet())).collect()
    }
}
