// SPDX-License-Identifier: Apache-2.0
//! The certificates of Ingresses, out of Secrets.
//!
//! Invariants: nothing of a key is ever printed.
//! Depends on: k8s-openapi.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;

/// A certificate and the hosts it is shown for.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The hosts, sorted.
    pub names: Arc<[String]>,
    /// The chain, in PEM.
    pub chain: Arc<[u8]>,
    /// The key, in PEM.
    pub key: Arc<[u8]>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificate")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// What a Secret holds; none if it is not one of a certificate.
    #[must_use]
    pub fn of(secret: &Secret, names: Vec<String>) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let part = |name: &str| data.get(name).map(|bytes| Arc::from(bytes.0.as_slice()));
        Some(Self {
            names: names.into(),
            chain: part("tls.crt")?,
            key: part("tls.key")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_without_both_parts_is_no_certificate() {
        let secret = |data| -> Secret { serde_json::from_value(json!({ "data": data })).unwrap() };
        let whole = secret(json!({"tls.crt": "Y2hhaW4=", "tls.key": "a2V5"}));
        let certificate = Certificate::of(&whole, vec!["a.example.com".to_owned()]).unwrap();
        assert_eq!((&*certificate.chain, &*certificate.key), (&b"chain"[..], &b"key"[..]));
        assert!(!format!("{certificate:?}").contains("107"), "no byte of the key");
        assert!(Certificate::of(&secret(json!({"tls.crt": "Y2hhaW4="})), Vec::new()).is_none());
    }
}
