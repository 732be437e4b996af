//! Reaches the MQTT server: name, TCP, TLS. Every way in which that fails gets its own words.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, RootCertStore};

use super::Broken;

/// How long one address, or the TLS handshake, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the server, in two halves.
pub struct Stream {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Where the server is, and how to speak to it.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub tls: Option<Tls>,
}

/// TLS with the trusted certificates loaded.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts the certificates of a PEM file, given with its path, or those of the system.
    ///
    /// # Errors
    /// If there are none: which file, and the cure.
    pub fn new(ca_file: Option<(&Path, &[u8])>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        if let Some((path, pem)) = ca_file {
            let path = path.display();
            let certificates = CertificateDer::pem_slice_iter(pem)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| {
                format!("--ca-file {path}: {error}; give a PEM file of CA certificates")
            })?;
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(format!(
                    "--ca-file {path} holds no usable certificate; give a PEM file of CA certificates"
                ));
            }
        } else {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err("this system has no CA certificates; install ca-certificates, or name a file with --ca-file".to_owned());
            }
        }
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }
}

impl Server {
    /// `HOST:PORT`, for messages.
    pub fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects to the first address that answers.
    pub(super) async fn dial(&self) -> Result<Stream, Broken> {
        let tcp = self.tcp().await?;
        let Some(tls) = &self.tls else {
            let (reader, writer) = tcp.into_split();
            return Ok(Stream { reader: Box::new(reader), writer: Box::new(writer) });
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| {
            Broken::permanent(format!("{:?} is no name that a certificate can have", self.host))
        })?;
        let handshake = TlsConnector::from(Arc::clone(&tls.config)).connect(name, tcp);
        let stream = timeout(PATIENCE, handshake)
            .await
            .map_err(|_| Broken::permanent(plain_text("does not answer the TLS handshake")))?
            .map_err(|error| tls_trouble(&error))?;
        let (reader, writer) = tokio::io::split(stream);
        Ok(Stream { reader: Box::new(reader), writer: Box::new(writer) })
    }

    async fn tcp(&self) -> Result<TcpStream, Broken> {
        let found = timeout(PATIENCE, lookup_host((self.host.as_str(), self.port))).await;
        let addresses = match found {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => {
                return Err(Broken::passing(format!("the name cannot be resolved: {error}")));
            }
            Err(_) => return Err(Broken::passing("the name cannot be resolved in 10 s")),
        };
        let mut last = Broken::passing("the name has no address");
        for address in addresses {
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => match stream.set_nodelay(true) {
                    Ok(()) => return Ok(stream),
                    Err(error) => last = unreachable(address, &error),
                },
                Ok(Err(error)) => last = unreachable(address, &error),
                Err(_) => last = Broken::passing(format!("{address} does not answer in 10 s")),
            }
        }
        Err(last)
    }
}

fn unreachable(address: SocketAddr, error: &io::Error) -> Broken {
    Broken::passing(format!("{address} cannot be reached: {error}"))
}

fn tls_trouble(error: &io::Error) -> Broken {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    match (tls, error.kind()) {
        (Some(TlsError::InvalidCertificate(cause)), _) => Broken::permanent(format!(
            "its certificate does not verify: {cause}; name its CA with --ca-file, and the server as the certificate does"
        )),
        (Some(TlsError::InvalidMessage(_)), _) => {
            Broken::permanent(plain_text("does not speak TLS"))
        }
        (
            _,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe,
        ) => Broken::permanent(plain_text("closed the connection during the TLS handshake")),
        _ => Broken::passing(format!("TLS failed: {error}")),
    }
}

fn plain_text(what: &str) -> String {
    format!("it {what}; if this port speaks plain MQTT, use --tls-enabled=false")
}
