//! From a name to a TCP connection: the first of its addresses that answers (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::PATIENCE;
use crate::source::Broken;

/// How long an address may keep the next one waiting.
const HEAD_START: Duration = Duration::from_millis(250);

/// Finds out that a server is gone without a word, also where the options, or the server, turn MQTT's
/// own keep-alive off.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_mins(1))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// Sends TCP's acknowledgements at once.
pub(super) struct Receipts(Option<Socket>);

impl Receipts {
    /// Those of this connection. Without a descriptor to spare they take their time.
    pub fn of(stream: &TcpStream) -> Self {
        Self(SockRef::from(stream).try_clone().ok())
    }

    /// For what has come so far: the system forgets that it was asked to.
    pub fn send(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(socket) = &self.0 {
            // If it cannot, they take their time.
            drop(socket.set_tcp_quickack(true));
        }
    }
}

/// Connects to a host name, which is resolved anew each time, or to an address.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, Broken> {
    first_of(taking_turns(resolve(host, port).await?)).await
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Broken> {
    const CURE: &str = "check --server, and this machine's name servers";
    match timeout(PATIENCE, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => {
            Err(Broken::passing(format!("the name cannot be resolved: {error}; {CURE}")))
        }
        Err(_) => Err(Broken::passing(format!("the name cannot be resolved in 10 s; {CURE}"))),
    }
}

/// The addresses in the order of the system's preference, but IPv6 and IPv4 by turns, so that one
/// of them that leads nowhere does not hold up the other (RFC 8305, 4).
fn taking_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut turns = Vec::new();
    loop {
        let pair = [preferred.next(), others.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

/// Tries the addresses one after the other, each after the one before has failed or had its head
/// start; whichever connects first wins.
async fn first_of(addresses: Vec<SocketAddr>) -> Result<TcpStream, Broken> {
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failures = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => drop(attempts.spawn(attempt(address))),
            None if attempts.is_empty() => return Err(all_failed(&failures)),
            None => {}
        }
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(failure))) => failures.push(failure),
                // An attempt neither panics nor is it cancelled before the others.
                Some(Err(_)) | None => {}
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> Result<TcpStream, (SocketAddr, String)> {
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&KEEP_ALIVE)?;
        Ok::<_, io::Error>(stream)
    };
    match timeout(PATIENCE, connected).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err((address, error.to_string())),
        Err(_) => Err((address, "no answer in 10 s".to_owned())),
    }
}

fn all_failed(failures: &[(SocketAddr, String)]) -> Broken {
    Broken::passing(match failures {
        [] => "the name has no address; check --server".to_owned(),
        [(address, why)] => {
            format!("{address} cannot be reached: {why}; check --server and --port")
        }
        several => {
            let each: Vec<_> =
                several.iter().map(|(address, why)| format!("{address}: {why}")).collect();
            format!(
                "none of its {} addresses can be reached: {}; check --server and --port",
                several.len(),
                each.join("; ")
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
    use std::time::Instant;

    use tokio::net::TcpSocket;

    use super::*;
    use crate::source::Nature;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// A listener that answers, and its address.
    fn alive() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that refuses.
    fn refusing() -> SocketAddr {
        alive().1
    }

    /// An address that does not answer: its queue of connections is full and never emptied.
    async fn silent() -> (tokio::net::TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = timeout(HEAD_START, TcpStream::connect(address)).await {
            queue.push(stream.unwrap());
        }
        (listener, queue, address)
    }

    #[test]
    fn the_families_take_turns_and_the_preferred_one_begins() {
        let v4 = |last| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 1883));
        let v6 = |last| SocketAddr::from((Ipv6Addr::from(last), 1883));
        assert_eq!(taking_turns(vec![v6(1), v6(2), v6(3), v4(1)]), [v6(1), v4(1), v6(2), v6(3)]);
        assert_eq!(taking_turns(vec![v4(1), v6(1), v6(2)]), [v4(1), v6(1), v6(2)]);
        assert_eq!(taking_turns(vec![v4(2), v4(1)]), [v4(2), v4(1)]);
        assert_eq!(taking_turns(Vec::new()), []);
    }

    #[test]
    fn an_address_that_refuses_costs_nothing() {
        let (_listener, address) = alive();
        let began = Instant::now();
        let stream = run(first_of(vec![refusing(), refusing(), address])).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.nodelay().unwrap() && began.elapsed() < HEAD_START);
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_mins(1));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_has_come_is_acknowledged_at_once_where_that_is_asked_for() {
        let (_listener, address) = alive();
        let stream = run(first_of(vec![address])).unwrap();
        let socket = SockRef::from(&stream);
        socket.set_tcp_quickack(false).unwrap();
        assert!(!socket.tcp_quickack().unwrap());
        Receipts::of(&stream).send();
        assert!(socket.tcp_quickack().unwrap());
    }

    #[test]
    fn an_address_that_does_not_answer_costs_its_head_start_only() {
        let (_listener, address) = alive();
        let (took, peer) = run(async {
            let (_queue_owner, _queue, dead) = silent().await;
            let began = Instant::now();
            let stream = first_of(vec![dead, address]).await.unwrap();
            (began.elapsed(), stream.peer_addr().unwrap())
        });
        assert_eq!(peer, address);
        assert!(took >= HEAD_START && took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn a_slow_address_may_still_win() {
        run(async {
            let (listener, queue, slow) = silent().await;
            let opened = async {
                sleep(Duration::from_millis(600)).await;
                // Room again: the kernel sends another SYN within a second or two.
                for _ in &queue {
                    drop(listener.accept().await);
                }
                std::future::pending::<()>().await;
            };
            let won = tokio::select! {
                won = first_of(vec![slow, refusing()]) => won.unwrap(),
                () = opened => unreachable!(),
            };
            assert_eq!(won.peer_addr().unwrap(), slow);
        });
    }

    #[test]
    fn when_none_answers_every_address_and_its_reason_is_named() {
        let (one, two) = (refusing(), refusing());
        let broken = run(first_of(vec![one, two])).unwrap_err();
        for part in ["none of its 2 addresses", &one.to_string(), &two.to_string(), "refused"] {
            assert!(broken.what.contains(part), "{broken:?} does not say {part}");
        }
        assert!(broken.nature == Nature::Passing && !broken.what.contains('\n'));
        let broken = run(first_of(vec![one])).unwrap_err();
        assert!(broken.what.starts_with(&format!("{one} cannot be reached")), "{broken:?}");
    }

    #[test]
    fn an_ipv6_address_may_name_its_zone() {
        let addresses = run(resolve("fe80::1%lo", 1883)).unwrap();
        assert!(matches!(addresses[..], [SocketAddr::V6(address)] if address.scope_id() > 0));
    }

    #[test]
    fn a_name_that_does_not_resolve_is_no_reason_to_give_up() {
        let broken = run(connect("no-such-host.invalid", 1883)).unwrap_err();
        assert!(broken.what.contains("cannot be resolved"), "{broken:?}");
        assert!(broken.what.contains("--server") && broken.nature == Nature::Passing, "{broken:?}");
    }
}
