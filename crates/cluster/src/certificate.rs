//! What a new cluster needs: a token, and a certificate with its key.

use chrono::Datelike;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::{CERTIFICATE_NAME, Error, Result};

/// Years that a certificate holds. Who changes it changes it on every machine at once, so that it is not done often.
const YEARS: i32 = 10;

/// The secrets of a new cluster.
pub struct Secrets {
    /// What roles and clients carry.
    pub token: String,
    /// What roles show, and clients trust: PEM.
    pub certificate: String,
    /// The certificate's private key, for roles alone: PEM.
    pub key: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Draws new ones. The certificate signs itself and is made out to [`CERTIFICATE_NAME`], so that one serves
    /// all machines of a cluster, whatever their addresses.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn new() -> Result<Self> {
        let failed = |error: rcgen::Error| Error::Tls {
            why: error.to_string(),
        };
        let mut token = [0; 24];
        getrandom::fill(&mut token).map_err(|error| Error::Tls {
            why: error.to_string(),
        })?;
        let key = KeyPair::generate().map_err(failed)?;
        let mut params =
            CertificateParams::new(vec![CERTIFICATE_NAME.to_owned()]).map_err(failed)?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, CERTIFICATE_NAME);
        params.distinguished_name = name;
        params.not_after = rcgen::date_time_ymd(chrono::Utc::now().year() + YEARS, 1, 1);
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            token: token.iter().map(|byte| format!("{byte:02x}")).collect(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
