//! TLS in front of a server that speaks none, for what mosquitto's own TLS cannot do or show.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::certificates::Signed;

/// What the front shall be like. Without any of this it speaks TLS 1.2 and 1.3 with anybody.
#[derive(Debug, Default)]
pub struct Builder {
    only_tls_1_2: bool,
    alpn: Vec<String>,
    clients_of: Option<RootCertStore>,
}

/// What a client asked for that the front took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub server_name: Option<String>,
    pub alpn: Option<String>,
}

/// A running front, until the test run ends.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl TlsFront {
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the clients so far asked for.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Builder {
    #[must_use]
    pub fn only_tls_1_2(mut self) -> Self {
        self.only_tls_1_2 = true;
        self
    }

    /// The application protocols that it takes.
    #[must_use]
    pub fn alpn(mut self, protocol: &str) -> Self {
        self.alpn.push(protocol.to_owned());
        self
    }

    /// Takes only clients with a certificate of this authority.
    #[must_use]
    pub fn clients_of(mut self, authority: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(authority));
        self.clients_of = Some(roots);
        self
    }

    /// Starts it in front of this port.
    ///
    /// # Panics
    /// If the files are of no use.
    pub fn start(self, server: &Signed, backend: u16) -> TlsFront {
        let config = self.config(server);
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a TCP option");
        let port = listener.local_addr().expect("a listener has an address").port();
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(serve(listener, config, backend, seen));
        });
        TlsFront { port, asked }
    }

    fn config(self, server: &Signed) -> ServerConfig {
        let versions: &[&SupportedProtocolVersion] =
            if self.only_tls_1_2 { &[&TLS12] } else { &[&TLS12, &TLS13] };
        let provider = Arc::new(ring::default_provider());
        let clients = match self.clients_of {
            None => Arc::new(NoClientAuth),
            Some(roots) => {
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .expect("an authority to check clients with")
            }
        };
        let key = PrivateKeyDer::from_pem_file(&server.key).expect("a key of the harness");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions that ring has")
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates(&server.certificate), key)
            .expect("a certificate of the harness");
        config.alpn_protocols = self.alpn.into_iter().map(String::into_bytes).collect();
        config
    }
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(file).expect("a file of the harness");
    certificates.collect::<Result<_, _>>().expect("certificates of the harness")
}

async fn serve(
    listener: std::net::TcpListener,
    config: ServerConfig,
    backend: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
) {
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, asked) = (acceptor.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            // That a client goes away, or is refused, is what tests are about.
            let Ok(mut client) = acceptor.accept(client).await else { return };
            let (_, tls) = client.get_ref();
            let alpn = tls.alpn_protocol().map(|it| String::from_utf8_lossy(it).into_owned());
            let server_name = tls.server_name().map(str::to_owned);
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { server_name, alpn });
            let backend = TcpStream::connect((Ipv4Addr::LOCALHOST, backend)).await;
            let mut backend = backend.expect("the server behind the front answers");
            drop(copy_bidirectional(&mut client, &mut backend).await);
        });
    }
}
