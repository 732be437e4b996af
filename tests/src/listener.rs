//! A port on which a test takes clients one by one, when it wants them.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::{SOON, eventually};

#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// On a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        // So that waiting for a client has a deadline.
        listener.set_nonblocking(true).expect("a TCP option");
        Self(listener)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("a listener has an address").port()
    }

    /// Waits for the next client.
    ///
    /// # Panics
    /// If none connects.
    pub fn accept(&self) -> TcpStream {
        let (stream, _) = eventually("a client connects", SOON, || self.0.accept().ok());
        stream.set_nonblocking(false).expect("a TCP option");
        stream.set_nodelay(true).expect("a TCP option");
        stream
    }
}
