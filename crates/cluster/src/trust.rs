//! By what roles and clients of one cluster know each other, and when a role may be reached from elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::extension::EndpointOverrideFn;
use tonic::codegen::http::uri::Scheme;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig, Uri};
use tonic::{Request, Status};

use crate::{Error, Result, Token};

/// The name that a cluster's certificate is made out to, on whatever machine a role runs.
pub const CERTIFICATE_NAME: &str = "columna-cluster";
/// How long the other side may take to accept a connection, or to answer a sign of life.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The token, and the certificate under which connections are encrypted.
#[derive(Clone, Debug)]
pub struct Trust {
    token: Token,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    certificate: Arc<[u8]>,
    key: Option<Arc<[u8]>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.key.is_some() {
            "certificate and key"
        } else {
            "certificate"
        })
    }
}

impl Trust {
    /// A token alone: connections stay on this machine.
    #[must_use]
    pub fn local(token: Token) -> Self {
        Self { token, tls: None }
    }

    /// Encrypted connections to roles that hold the key of this certificate, both PEM. Clients need no key.
    ///
    /// # Errors
    /// When one of them is not PEM of its kind.
    pub fn encrypted(token: Token, certificate: &[u8], key: Option<&[u8]>) -> Result<Self> {
        let holds = |pem: &[u8], what: &[u8]| pem.windows(what.len()).any(|part| part == what);
        if !holds(certificate, b"BEGIN CERTIFICATE") {
            return Err(Error::Pem {
                what: "certificate",
            });
        }
        if key.is_some_and(|key| !holds(key, b"PRIVATE KEY")) {
            return Err(Error::Pem {
                what: "private key",
            });
        }
        // A build with object stores has two providers of cryptography, and rustls then asks which; who chose before stays.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(Self {
            token,
            tls: Some(Tls {
                certificate: Arc::from(certificate),
                key: key.map(Arc::from),
            }),
        })
    }

    /// Whether only those with a token are served.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_set()
    }

    /// Whether connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Refuses to serve where other machines could reach it, unless they must have the token and nobody can listen.
    pub(crate) fn may_serve(&self, address: SocketAddr) -> Result<()> {
        if self.tls.as_ref().is_some_and(|tls| tls.key.is_none()) {
            return Err(Error::NoKey);
        }
        let open = self.tls.is_some() && self.token.is_set();
        if open || address.ip().is_loopback() {
            Ok(())
        } else {
            Err(Error::NotLoopback { address })
        }
    }

    /// Refuses to send the token and patients' rows readable to another machine.
    pub(crate) fn may_connect(&self, host: &str) -> Result<()> {
        let here = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if here || self.is_encrypted() {
            Ok(())
        } else {
            Err(Error::NotEncrypted {
                host: host.to_owned(),
            })
        }
    }

    /// Puts token and encryption on a connection, and gives up in seconds where nobody answers any more.
    pub(crate) fn endpoint(&self) -> EndpointOverrideFn {
        let trust = self.clone();
        Arc::new(move |endpoint| {
            let mut endpoint = match &trust.tls {
                None => endpoint,
                Some(tls) => Self::encrypt(&endpoint, tls)?,
            };
            if let Some(secret) = trust.token.secret() {
                endpoint = endpoint.user_agent(secret.to_owned())?;
            }
            Ok(endpoint
                .connect_timeout(PATIENCE)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(PATIENCE)
                .keep_alive_timeout(PATIENCE)
                .keep_alive_while_idle(true))
        })
    }

    /// Ballista names every address with `http:`; the scheme decides whether TLS is spoken.
    fn encrypt(
        endpoint: &Endpoint,
        tls: &Tls,
    ) -> std::result::Result<Endpoint, Box<dyn std::error::Error + Send + Sync>> {
        let mut parts = endpoint.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&tls.certificate))
            .domain_name(CERTIFICATE_NAME);
        Ok(Endpoint::from(Uri::from_parts(parts)?).tls_config(config)?)
    }

    /// What a server shows, if connections are encrypted.
    pub(crate) fn server(&self) -> Option<ServerTlsConfig> {
        let tls = self.tls.as_ref()?;
        let key = tls.key.as_ref()?;
        Some(ServerTlsConfig::new().identity(Identity::from_pem(&tls.certificate, key)))
    }

    /// Turns away requests that do not carry the token.
    pub(crate) fn check(&self, request: Request<()>) -> std::result::Result<Request<()>, Status> {
        self.token.check(request)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_a_token_and_encryption() {
        let token = || Token::new(Some("0123456789abcdef")).unwrap();
        let none = || Token::new(None).unwrap();
        let certificate = b"-----BEGIN CERTIFICATE-----".as_slice();
        let key = Some(b"-----BEGIN PRIVATE KEY-----".as_slice());
        let outside: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let inside: SocketAddr = "127.0.0.1:1".parse().unwrap();
        for (trust, serves) in [
            (Trust::local(none()), false),
            (Trust::local(token()), false),
            (Trust::encrypted(none(), certificate, key).unwrap(), false),
            (Trust::encrypted(token(), certificate, key).unwrap(), true),
        ] {
            assert_eq!(trust.may_serve(outside).is_ok(), serves, "{trust:?}");
            assert!(trust.may_serve(inside).is_ok(), "{trust:?}");
        }
        let client = Trust::encrypted(token(), certificate, None).unwrap();
        assert!(matches!(client.may_serve(inside), Err(Error::NoKey)));
        assert!(client.may_connect("db.example.org").is_ok());
        let local = Trust::local(token());
        for (host, may) in [
            ("localhost", true),
            ("127.0.0.2", true),
            ("[::1]", true),
            ("192.0.2.1", false),
            ("localhost.example.org", false),
        ] {
            assert_eq!(local.may_connect(host).is_ok(), may, "{host}");
        }
        assert!(Trust::encrypted(token(), b"no", None).is_err());
        assert!(Trust::encrypted(token(), certificate, Some(b"no")).is_err());
    }
}
