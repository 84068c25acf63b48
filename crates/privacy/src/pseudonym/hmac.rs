//! HMAC-SHA256 (RFC 2104, FIPS 198-1), with a key that was prepared once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// A keyed hash whose key is already absorbed: two compressions for a short message.
#[derive(Clone)]
pub(crate) struct Keyed {
    state: Hmac<Sha256>,
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed(…)")
    }
}

impl Keyed {
    pub(crate) fn new(key: &[u8]) -> Result<Self> {
        let state = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::Keys {
            message: "a key has a length that HMAC does not take".to_owned(),
        })?;
        Ok(Self { state })
    }

    /// The hash of the parts, one after the other.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = self.state.clone();
        for part in parts {
            state.update(part);
        }
        state.finalize().into_bytes().into()
    }

    /// A key for one use, so that no two uses share one.
    pub(crate) fn derive(&self, purpose: &str) -> Result<Self> {
        let key = Zeroizing::new(self.hash(&[purpose.as_bytes()]));
        Self::new(key.as_slice())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// RFC 4231, section 4, test cases 1, 2, 3, 4, 6 and 7 (5 is about truncation).
    #[test]
    fn the_vectors_of_rfc_4231() {
        let cases = [
            (
                "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b".to_owned(),
                b"Hi There".to_vec(),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                "4a656665".to_owned(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                "aa".repeat(20),
                vec![0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                "0102030405060708090a0b0c0d0e0f10111213141516171819".to_owned(),
                vec![0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                "aa".repeat(131),
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                "aa".repeat(131),
                b"This is a test using a larger than block-size key and a larger than block-size data. The key \
                  needs to be hashed before being used by the HMAC algorithm."
                    .to_vec(),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, message, expected) in cases {
            let keyed = Keyed::new(&bytes(&key)).unwrap();
            assert_eq!(keyed.hash(&[&message]).as_slice(), bytes(expected));
            let (first, second) = message.split_at(3);
            assert_eq!(keyed.hash(&[first, second]).as_slice(), bytes(expected));
        }
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let keyed = Keyed::new(b"very secret key of a project").unwrap();
        assert_eq!(format!("{keyed:?}"), "Keyed(…)");
    }
}
