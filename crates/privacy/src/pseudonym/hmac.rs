//! HMAC-SHA256 (RFC 2104, FIPS 198-1), with a key that was prepared once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, Result};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// The most bytes of a last block that leave room for the padding: a bit, and the length in eight bytes.
const SHORT: usize = BLOCK - 9;
/// What SHA-256 starts from (FIPS 180-4, section 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A keyed hash whose key is already absorbed: two compressions for a short message, and nothing else.
#[derive(Clone)]
pub(crate) struct Keyed {
    /// The states after the key's block, for the message and for its hash.
    inner: [u32; 8],
    outer: [u32; 8],
    /// The same, for messages of any length.
    long: Hmac<Sha256>,
}

impl Drop for Keyed {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed(…)")
    }
}

impl Keyed {
    pub(crate) fn new(key: &[u8]) -> Result<Self> {
        let long = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::Keys {
            message: "a key has a length that HMAC does not take".to_owned(),
        })?;
        let mut block = Zeroizing::new([0u8; BLOCK]);
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        let absorbed = |pad: u8| {
            let mut state = START;
            compress256(&mut state, &[*Zeroizing::new(block.map(|byte| byte ^ pad))]);
            state
        };
        Ok(Self {
            inner: absorbed(0x36),
            outer: absorbed(0x5c),
            long,
        })
    }

    /// The hash of the parts, one after the other.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut block = [0u8; BLOCK];
        let mut length = 0;
        for part in parts {
            let end = length + part.len();
            if end > SHORT {
                return self.hash_long(parts);
            }
            block[length..end].copy_from_slice(part);
            length = end;
        }
        let message = compressed(self.inner, &mut block, length);
        let mut block = [0u8; BLOCK];
        for (bytes, word) in block.chunks_exact_mut(4).zip(message) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        let words = compressed(self.outer, &mut block, 32);
        let mut hash = [0u8; 32];
        for (bytes, word) in hash.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        hash
    }

    fn hash_long(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = self.long.clone();
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

/// The state after a last block of so many bytes, which follows the key's.
fn compressed(mut state: [u32; 8], block: &mut [u8; BLOCK], length: usize) -> [u32; 8] {
    block[length] = 0x80;
    let bits = 8 * (BLOCK + length) as u64;
    block[BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
    compress256(&mut state, std::slice::from_ref(block));
    state
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

    /// The short way against the crate's own, at every length around where they part.
    #[test]
    fn short_and_long_messages_are_hashed_alike() {
        for key in [&[7u8; 32][..], &[1; 64], &[9; 65], &[3; 1]] {
            let keyed = Keyed::new(key).unwrap();
            for length in 0..140 {
                let message: Vec<u8> = (0..=u8::MAX).take(length).collect();
                let (first, second) = message.split_at(length / 3);
                assert_eq!(
                    keyed.hash(&[first, second]),
                    keyed.hash_long(&[&message]),
                    "{length}"
                );
            }
        }
    }
}
