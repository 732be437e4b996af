//! A relay between a client and a broker, whose connections a test can cut one by one.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Listens on a port of its own, and carries everything to and from the broker's.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    /// The clients' ends, in the order in which they connected.
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// # Panics
    /// If no port is free.
    pub fn to(broker: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let known = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let copy = client.try_clone().expect("a descriptor is left");
                known.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
                // A broker that is down looks like one that hangs up.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)) else {
                    let _: io::Result<()> = client.shutdown(Shutdown::Both);
                    continue;
                };
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("a TCP option");
                }
                carry(&client, &server);
                carry(&server, &client);
            }
        });
        Self { port, connections }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there have been.
    pub fn count(&self) -> usize {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Ends a connection, as a broken network would.
    ///
    /// # Panics
    /// If there have not been that many.
    pub fn cut(&self, number: usize) {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _: io::Result<()> = connections[number].shutdown(Shutdown::Both);
    }
}

/// Copies in the background until one of them ends, then ends both.
fn carry(from: &TcpStream, to: &TcpStream) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor is left");
    let (mut from, mut to) = (clone(from), clone(to));
    std::thread::spawn(move || {
        let _: io::Result<u64> = io::copy(&mut from, &mut to);
        for stream in [from, to] {
            let _: io::Result<()> = stream.shutdown(Shutdown::Both);
        }
    });
}
