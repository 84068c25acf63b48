//! What roles and clients of one cluster share, so that others on the machine cannot talk to it.

use std::sync::Arc;

use tonic::{Request, Status};

use crate::{Error, Result};

/// A secret of a cluster. Without one, everybody who can open a connection is served.
///
/// It travels as the user agent: the one header that Ballista lets be set on every connection, between roles too.
#[derive(Clone)]
pub struct Token(Option<Arc<str>>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Token(set)"
        } else {
            "Token(none)"
        })
    }
}

impl Token {
    /// Takes a secret; none serves everybody.
    ///
    /// # Errors
    /// When it is shorter than 16 characters, or has characters that a header can't carry.
    pub fn new(secret: Option<&str>) -> Result<Self> {
        let fits = |secret: &str| {
            secret.len() >= 16
                && secret
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match secret {
            Some(secret) if !fits(secret) => Err(Error::Token),
            secret => Ok(Self(secret.map(Arc::from))),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn secret(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Turns away requests that do not carry the token.
    pub(crate) fn check(&self, request: Request<()>) -> std::result::Result<Request<()>, Status> {
        let Some(secret) = &self.0 else {
            return Ok(request);
        };
        // The transport adds its own name behind a space.
        let given = request
            .metadata()
            .get("user-agent")
            .and_then(|agent| agent.to_str().ok())
            .and_then(|agent| agent.split(' ').next())
            .unwrap_or_default();
        if same(given.as_bytes(), secret.as_bytes()) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("this cluster asks for a token"))
        }
    }
}

/// Compares in a time that does not depend on where the first difference is.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .fold(0, |difference, (left, right)| difference | (left ^ right))
            == 0
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_let_in() {
        let token = Token::new(Some("0123456789abcdef")).unwrap();
        let ask = |agent: Option<&str>| {
            let mut request = Request::new(());
            if let Some(agent) = agent {
                request
                    .metadata_mut()
                    .insert("user-agent", agent.parse().unwrap());
            }
            token.check(request).is_ok()
        };
        assert!(ask(Some("0123456789abcdef tonic/0.14")));
        assert!(ask(Some("0123456789abcdef")));
        for other in [
            None,
            Some(""),
            Some("0123456789abcdee tonic/0.14"),
            Some("tonic/0.14 0123456789abcdef"),
        ] {
            assert!(!ask(other), "{other:?}");
        }
        assert!(Token::new(None).unwrap().check(Request::new(())).is_ok());
        for bad in ["short", "0123456789 abcdef", "0123456789abcd\u{e9}f"] {
            assert!(Token::new(Some(bad)).is_err(), "{bad}");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }
}
