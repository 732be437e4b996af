//! TLS below MQTT. The files of certificates are read again for each connection, so that renewed
//! ones need no restart.

mod files;
mod trouble;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, InconsistentKeys, RootCertStore};

use super::PATIENCE;
use crate::source::Broken;
use files::Content;

/// Whom to trust, and who to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file of certificate authorities, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What the server may ask for.
    pub client: Option<ClientFiles>,
    /// The name to ask for (SNI) and to verify, instead of the one that is connected to.
    pub server_name: Option<String>,
    /// Application protocols to offer (ALPN), the preferred one first; none is offered if empty.
    pub alpn: Vec<String>,
}

/// PEM files of a certificate, with what leads from it to its authority, and of its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// TLS with the certificates loaded.
#[derive(Clone)]
pub struct Tls {
    settings: TlsSettings,
    name: ServerName<'static>,
    loaded: Arc<Mutex<Loaded>>,
}

struct Loaded {
    content: Content,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files, for a server that is connected to as `host`.
    ///
    /// # Errors
    /// What cannot be used, and the cure.
    pub fn new(settings: TlsSettings, host: &str) -> Result<Self, String> {
        let name = server_name(&settings, host)?;
        let content = Content::read(settings.ca_file.as_ref(), settings.client.as_ref())?;
        let config = configure(&settings, &content)?;
        Ok(Self { settings, name, loaded: Arc::new(Mutex::new(Loaded { content, config })) })
    }

    /// The name that a certificate must have.
    pub(super) fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    pub(super) async fn handshake(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Broken> {
        let connector = TlsConnector::from(self.current());
        match timeout(PATIENCE, connector.connect(self.name.clone(), tcp)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.trouble(&error).unwrap_or_else(|| self.not_tls(&error))),
            Err(_) => Err(Broken::passing(
                "it accepts the connection and does not answer the TLS handshake in 10 s; \
                 if this port speaks plain MQTT, use --tls-enabled=false",
            )),
        }
    }

    /// The configuration with what the files hold now, or with what they last held that was of use.
    fn current(&self) -> Arc<ClientConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed = Content::read(self.settings.ca_file.as_ref(), self.settings.client.as_ref())
            .and_then(|content| {
                if content == loaded.content {
                    return Ok(());
                }
                let config = configure(&self.settings, &content)?;
                *loaded = Loaded { content, config };
                tracing::info!("certificates for the MQTT server have changed: using the new ones");
                Ok(())
            });
        if let Err(problem) = renewed {
            tracing::warn!("{problem}; going on with what was read before");
        }
        Arc::clone(&loaded.config)
    }
}

fn server_name(settings: &TlsSettings, host: &str) -> Result<ServerName<'static>, String> {
    if let Some(name) = &settings.server_name {
        return ServerName::try_from(name.clone()).map_err(|_| {
            format!("--tls-server-name {name:?} is neither a host name nor an address")
        });
    }
    // The zone of an address is of no interest to the other end.
    let name = host.split('%').next().unwrap_or(host).to_owned();
    ServerName::try_from(name).map_err(|_| {
        format!(
            "--server {host:?} is no name that a certificate can have: give the certificate's with --tls-server-name"
        )
    })
}

fn configure(settings: &TlsSettings, content: &Content) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(content.authorities.iter().cloned());
    if usable == 0 {
        let source = settings.ca_file.as_ref().map_or_else(
            || "the system's store".to_owned(),
            |path| format!("--ca-file {}", path.display()),
        );
        return Err(format!(
            "{source} holds no usable certificate; give a PEM file of CA certificates"
        ));
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots);
    let mut config = match (&content.client, &settings.client) {
        (Some((chain, key)), Some(files)) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| unusable_client(&error, files))?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols =
        settings.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

fn unusable_client(error: &TlsError, files: &ClientFiles) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    match error {
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "--key-file {key} is not the key of the first certificate in --cert-file {certificate}: \
             give the two that belong together"
        ),
        TlsError::InvalidCertificate(cause) => {
            format!(
                "--cert-file {certificate}: {cause}; give a PEM file with the client's certificate"
            )
        }
        _ => format!(
            "--key-file {key}: it is of no kind that can be used; \
             make an RSA key of 2048 to 8192 bits, or an EC key on P-256 or P-384"
        ),
    }
}
