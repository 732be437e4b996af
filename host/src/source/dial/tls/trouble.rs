//! What TLS says when it fails, in words that name the cure.

use std::io;

use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{
    AlertDescription as Alert, CertificateError, Error as TlsError, PeerIncompatible,
};

use super::Tls;
use crate::source::Broken;
use crate::source::dial::is_end;

impl Tls {
    /// What an error of TLS means, also one that comes after the handshake: a server that speaks
    /// TLS 1.3 looks at the client's certificate only then. `None`: it is not TLS that failed.
    pub(in crate::source::dial) fn trouble(&self, error: &io::Error) -> Option<Broken> {
        let error = error.get_ref()?.downcast_ref::<TlsError>()?;
        Some(match error {
            TlsError::InvalidCertificate(cause) => Broken::permanent(self.unverified(cause)),
            TlsError::InvalidMessage(_) => Broken::permanent(
                "it does not speak TLS; if this port speaks plain MQTT, use --tls-enabled=false",
            ),
            TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
            | TlsError::AlertReceived(Alert::ProtocolVersion) => Broken::permanent(
                "it speaks neither TLS 1.2 nor 1.3, and older versions are not safe; update it, or allow one of these there",
            ),
            TlsError::AlertReceived(alert) => self.alerted(*alert),
            TlsError::PeerIncompatible(what) => Broken::permanent(format!(
                "its TLS has nothing in common with this one ({what:?}); update it, or allow more ciphers there"
            )),
            other => Broken::passing(format!("TLS failed: {other}")),
        })
    }

    /// The connection ended within the handshake.
    pub(super) fn not_tls(&self, error: &io::Error) -> Broken {
        if !is_end(error) {
            return Broken::passing(format!("the TLS handshake failed: {error}"));
        }
        Broken::permanent(format!(
            "it closed the connection during the TLS handshake; if this port speaks plain MQTT, use --tls-enabled=false{}",
            if self.settings.client.is_none() {
                ", and if it wants a client certificate, give --cert-file and --key-file"
            } else {
                ""
            }
        ))
    }

    /// The server's certificate does not verify.
    fn unverified(&self, cause: &CertificateError) -> String {
        let name = self.name().to_str();
        match cause {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                match &self.settings.ca_file {
                    None => "its certificate is signed by no authority that this system trusts; name its authority's PEM file with --ca-file".to_owned(),
                    Some(path) => format!(
                        "its certificate is not signed by an authority of --ca-file {}; give the file of the one that signed it",
                        path.display()
                    ),
                }
            }
            CertificateError::ExpiredContext { time, not_after } => format!(
                "its certificate expired {} ago; renew it there, or set this machine's clock",
                span(*not_after, *time)
            ),
            CertificateError::NotValidYetContext { time, not_before } => format!(
                "its certificate becomes valid only in {}; set this machine's clock, or wait",
                span(*time, *not_before)
            ),
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "its certificate is not for {name}{}; connect to a name that it has, or give one with --tls-server-name",
                if presented.is_empty() {
                    " and has no name in its subjectAltName".to_owned()
                } else {
                    format!(" but for {}", names(presented))
                }
            ),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its certificate is not one for servers (extendedKeyUsage without serverAuth); give it another one".to_owned()
            }
            // rustls passes on what it has no word for, in a type of a library below it.
            CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                "its certificate is an authority's own (CA:TRUE), which no server may use; give it one with CA:FALSE, signed by an authority that --ca-file names".to_owned()
            }
            other => format!("its certificate cannot be used: {other}; give it another one"),
        }
    }

    /// The server has refused something, and said what.
    fn alerted(&self, alert: Alert) -> Broken {
        const NO_CERTIFICATE: &str =
            "it wants a client certificate; give --cert-file and --key-file";
        let refused = |why: &str| match &self.settings.client {
            None => Broken::permanent(NO_CERTIFICATE),
            Some(files) => Broken::permanent(format!(
                "it does not accept the client certificate of --cert-file {}: {why}",
                files.certificate.display()
            )),
        };
        match alert {
            Alert::CertificateRequired => match self.settings.client {
                None => Broken::permanent(NO_CERTIFICATE),
                Some(_) => refused(
                    "it takes none from its authority; give one of an authority that the server trusts",
                ),
            },
            Alert::UnknownCA => refused(
                "it does not trust its authority; give one of an authority that the server trusts, with any intermediate ones",
            ),
            Alert::CertificateExpired => refused("it has expired; renew it"),
            Alert::CertificateRevoked => refused("it has been revoked; give another one"),
            Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::NoCertificate
            | Alert::DecryptError => {
                refused("its log may say why; give one that is meant for clients")
            }
            Alert::AccessDenied => refused("it has no access; allow it there"),
            Alert::UnrecognisedName => Broken::permanent(format!(
                "it does not know the name {}; give one that it knows with --tls-server-name",
                self.name().to_str()
            )),
            Alert::NoApplicationProtocol if self.settings.alpn.is_empty() => Broken::permanent(
                "it wants an application protocol (ALPN); name it with --tls-alpn",
            ),
            Alert::NoApplicationProtocol => Broken::permanent(format!(
                "it takes none of the application protocols (ALPN) offered: {}; give another --tls-alpn",
                self.settings.alpn.join(", ")
            )),
            Alert::HandshakeFailure | Alert::InsufficientSecurity
                if self.settings.client.is_none() =>
            {
                Broken::permanent(
                    "it refuses the TLS handshake: it may want a client certificate (--cert-file, --key-file), or have no cipher in common",
                )
            }
            Alert::HandshakeFailure | Alert::InsufficientSecurity => Broken::permanent(
                "it refuses the TLS handshake: it may have no cipher in common; its log may say why",
            ),
            other => Broken::passing(format!(
                "it ended TLS with the alert {other:?}; its log may say why"
            )),
        }
    }
}

/// The time between two others, in one unit.
fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    match (seconds / 86_400, seconds / 3_600, seconds / 60) {
        (days @ 2.., _, _) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, minutes) => format!("{} minutes", minutes.max(1)),
    }
}

/// What rustls shows as `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        name.split_once('(')
            .and_then(|(_, inner)| inner.strip_suffix(')'))
            .map_or_else(|| name.clone(), |inner| inner.trim_matches('"').to_owned())
    };
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}
