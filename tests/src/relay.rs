//! A relay between a client and a server: connections can be cut one by one, and either direction
//! made as bad as a network can be, while somebody looks on.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// What happens to bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    #[default]
    Pass,
    /// They disappear. What comes after them makes no sense to the receiver, so the connection should
    /// be cut before bytes pass again.
    Swallow,
    /// They are neither read nor passed on: the connection is half-open.
    Hold,
    /// They come in pieces of so many bytes, with a pause after each.
    Pieces(usize, Duration),
    /// They come later by this much.
    Late(Duration),
}

/// Sees all bytes that reach the client, just before they do, and all that it sends, whether or not
/// they reach the server.
pub trait Observer: Send + Sync {
    /// `connection` counts from 0.
    fn bytes(&self, connection: usize, way: Way, bytes: &[u8]);
}

/// Looks away.
struct Nobody;

impl Observer for Nobody {
    fn bytes(&self, _: usize, _: Way, _: &[u8]) {}
}

type IsWanted = dyn Fn(&[u8]) -> bool + Send;

/// Once a client sends something like this, nothing goes this way any more.
struct Trap {
    springs: Box<IsWanted>,
    way: Way,
}

impl fmt::Debug for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Trap").field("way", &self.way).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    to_server: Flow,
    to_client: Flow,
    trap: Option<Trap>,
    refuses: bool,
    /// The clients' ends, in the order in which they connected.
    connections: Vec<TcpStream>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl State {
    fn flow(&self, way: Way) -> Flow {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }

    fn set(&mut self, way: Way, flow: Flow) {
        match way {
            Way::ToServer => self.to_server = flow,
            Way::ToClient => self.to_client = flow,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Springs the trap if this is what it waits for.
    fn look_at(&self, bytes: &[u8]) {
        let mut state = self.lock();
        if let Some(Trap { way, .. }) = state.trap.take_if(|trap| (trap.springs)(bytes)) {
            state.set(way, Flow::Hold);
        }
    }

    /// How bytes go now; waits as long as they are held.
    fn flow(&self, way: Way) -> Flow {
        let held = self.changed.wait_while(self.lock(), |state| state.flow(way) == Flow::Hold);
        held.unwrap_or_else(PoisonError::into_inner).flow(way)
    }
}

/// Listens on a port of its own, and carries everything to and from the server's.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

impl Relay {
    /// # Panics
    /// If no port is free.
    pub fn to(server: u16) -> Self {
        Self::observed(server, Arc::new(Nobody))
    }

    /// # Panics
    /// If no port is free.
    pub fn observed(server: u16, observer: Arc<dyn Observer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let shared = Arc::<Shared>::default();
        let known = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (number, refuses) = {
                    let mut state = known.lock();
                    state.connections.push(copy(&client));
                    (state.connections.len() - 1, state.refuses)
                };
                // A server that is down looks like one that hangs up.
                let server = (!refuses).then(|| TcpStream::connect((Ipv4Addr::LOCALHOST, server)));
                let Some(Ok(server)) = server else {
                    let _: io::Result<()> = client.shutdown(Shutdown::Both);
                    continue;
                };
                for (way, from, to) in
                    [(Way::ToServer, &client, &server), (Way::ToClient, &server, &client)]
                {
                    to.set_nodelay(true).expect("a TCP option");
                    let pump = Pump {
                        number,
                        way,
                        shared: Arc::clone(&known),
                        observer: Arc::clone(&observer),
                    };
                    let (from, to) = (copy(from), copy(to));
                    std::thread::spawn(move || pump.run(from, to));
                }
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there have been.
    pub fn count(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Ends a connection, as a broken network would.
    ///
    /// # Panics
    /// If there have not been that many.
    pub fn cut(&self, number: usize) {
        // It may have ended by itself.
        let _: io::Result<()> = self.shared.lock().connections[number].shutdown(Shutdown::Both);
    }

    /// Ends every connection.
    pub fn cut_all(&self) {
        for connection in &self.shared.lock().connections {
            let _: io::Result<()> = connection.shutdown(Shutdown::Both);
        }
    }

    /// Whether new connections are hung up on at once.
    pub fn refuse(&self, refuses: bool) {
        self.shared.lock().refuses = refuses;
    }

    /// What happens to bytes that go this way from now on, on every connection.
    pub fn set(&self, way: Way, flow: Flow) {
        self.shared.lock().set(way, flow);
        self.shared.changed.notify_all();
    }

    /// Once a client sends bytes like these in one piece, nothing goes this way any more, until the relay
    /// [heals](Self::heal). If it is the way to the server, they do not get there either.
    pub fn hold_after(&self, springs: impl Fn(&[u8]) -> bool + Send + 'static, way: Way) {
        self.shared.lock().trap = Some(Trap { springs: Box::new(springs), way });
    }

    /// Whether bytes that go this way are held.
    pub fn holds(&self, way: Way) -> bool {
        self.shared.lock().flow(way) == Flow::Hold
    }

    /// Bytes pass again, new connections are served, and the old ones end.
    pub fn heal(&self) {
        self.cut_all();
        self.refuse(false);
        self.shared.lock().trap = None;
        self.set(Way::ToServer, Flow::Pass);
        self.set(Way::ToClient, Flow::Pass);
    }
}

/// One direction of one connection.
struct Pump {
    number: usize,
    way: Way,
    shared: Arc<Shared>,
    observer: Arc<dyn Observer>,
}

impl Pump {
    /// Carries until one end says that no more comes, and says so to the other end. That one may still
    /// have something to say.
    fn run(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; CHUNK];
        let broken = loop {
            match from.read(&mut buffer) {
                Ok(0) => break false,
                Ok(size) if self.carry(&buffer[..size], &mut to).is_ok() => {}
                Ok(_) | Err(_) => break true,
            }
        };
        // Either may have ended in the meantime.
        let _: io::Result<()> = to.shutdown(if broken { Shutdown::Both } else { Shutdown::Write });
        if broken {
            let _: io::Result<()> = from.shutdown(Shutdown::Both);
        }
    }

    fn carry(&self, bytes: &[u8], to: &mut TcpStream) -> io::Result<()> {
        if self.way == Way::ToServer {
            self.observer.bytes(self.number, self.way, bytes);
            self.shared.look_at(bytes);
        }
        let flow = self.shared.flow(self.way);
        if flow == Flow::Swallow {
            return Ok(());
        }
        if self.way == Way::ToClient {
            self.observer.bytes(self.number, self.way, bytes);
        }
        match flow {
            Flow::Pieces(size, pause) => {
                for piece in bytes.chunks(size) {
                    to.write_all(piece)?;
                    std::thread::sleep(pause);
                }
                Ok(())
            }
            Flow::Late(by) => {
                std::thread::sleep(by);
                to.write_all(bytes)
            }
            Flow::Pass | Flow::Hold | Flow::Swallow => to.write_all(bytes),
        }
    }
}

fn copy(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a descriptor is left")
}
