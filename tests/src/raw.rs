//! A server that speaks no protocol: each connection gets what the test wants.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// Listens until the test run ends. `serve` gets each connection, the first one with number 0; it
/// may keep it, so that the client hears nothing.
pub fn raw(mut serve: impl FnMut(TcpStream, usize) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("a listener has an address").port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(stream.expect("a connection comes in"), number);
        }
    });
    port
}

/// Passes bytes on between a client and a server on this port until either hangs up.
pub fn pass_on(client: TcpStream, port: u16) {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server answers");
    let ends = [(&client, &server), (&server, &client)].map(|(from, to)| {
        let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor is left");
        (copy(from), copy(to))
    });
    for (mut from, mut to) in ends {
        std::thread::spawn(move || {
            // A client that goes away is what tests are about.
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(std::net::Shutdown::Both));
        });
    }
}
