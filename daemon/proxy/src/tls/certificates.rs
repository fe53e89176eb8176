// SPDX-License-Identifier: Apache-2.0
//! Certificates by host, replaced while connections go on.
//!
//! Mechanism: one set, immutable, behind one pointer; a handshake takes the set of its moment. A certificate that has not
//! changed is not parsed again: a gateway may have thousands.
//! Invariants: what is wrong with one changes nothing for others; the names of a wrong one keep what they had.
//! Depends on: names, rustls.

use super::names::{ByName, key};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Arc, PoisonError, RwLock};

/// A certificate as files and secrets have it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What errors call it: a file, or `namespace/name` of a secret.
    pub source: String,
    /// Hosts; `*.domain` is for one more label, `*` for who asks for none of the others.
    pub names: Vec<String>,
    /// PEM: the host's own certificate first, then those that vouch for it.
    pub chain_pem: Vec<u8>,
    /// PEM: its private key (PKCS#8, PKCS#1 or SEC1).
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Certificate")
            .field("source", &self.source)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// Why a certificate is not served.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// The chain is no PEM.
    #[error("certificate of {0}: {fault}", fault = told(.1))]
    Chain(String, #[source] pem::Error),
    /// There is none in it.
    #[error("certificate of {0}: no CERTIFICATE section in the PEM text")]
    NoChain(String),
    /// The key is no PEM.
    #[error("private key of {0}: {fault}", fault = told(.1))]
    Key(String, #[source] pem::Error),
    /// There is none in it.
    #[error("private key of {0}: no PRIVATE KEY section in the PEM text")]
    NoKey(String),
    /// They are of two pairs.
    #[error("certificate and private key of {0} are not a pair")]
    Mismatch(String),
    /// Of a kind that rustls does not serve.
    #[error("certificate of {0} cannot be served: {1}")]
    Unusable(String, #[source] rustls::Error),
    /// Nobody could ask for it.
    #[error("certificate of {0} is for no host: at least one name is needed, `*` for any")]
    NoName(String),
    /// Not a host.
    #[error("certificate of {source_name}: {name:?} is neither a host nor `*.` and a host nor `*`")]
    Name {
        /// Whose.
        source_name: String,
        /// The name.
        name: String,
    },
    /// An earlier one has it.
    #[error("certificate of {source_name}: {name:?} has one already, of {holder}")]
    Taken {
        /// Whose.
        source_name: String,
        /// The name.
        name: String,
        /// Who has it.
        holder: String,
    },
}

/// What is wrong with a PEM text; the library's own words show bytes as numbers.
fn told(fault: &pem::Error) -> String {
    match fault {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!(
                "a section of the PEM text has no end (`END {}`)",
                String::from_utf8_lossy(end_marker)
            )
        }
        pem::Error::IllegalSectionStart { line } => {
            format!(
                "a section of the PEM text begins with a malformed line: {:?}",
                String::from_utf8_lossy(line)
            )
        }
        other => other.to_string(),
    }
}

/// A certificate that can be served.
#[derive(Debug)]
struct Served {
    source: String,
    /// Of its text: the same text is not parsed again.
    hash: u64,
    key: Arc<CertifiedKey>,
}

type Set = ByName<Arc<Served>>;

/// The certificates of a listener.
pub struct Certificates {
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
    hashes: RandomState,
    config: Arc<ServerConfig>,
}

#[derive(Debug, Default)]
struct Current {
    set: RwLock<Arc<Set>>,
}

impl Current {
    fn set(&self) -> Arc<Set> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.set();
        set.find(hello.server_name()).map(|served| Arc::clone(&served.key))
    }
}

impl Certificates {
    /// None yet: every handshake is refused.
    ///
    /// # Errors
    /// The machine has no randomness for the keys of session tickets.
    pub fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let current = Arc::<Current>::default();
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self {
            current,
            provider,
            hashes: RandomState::new(),
            config: Arc::new(config),
        })
    }

    /// Handshakes from now on are served these; of two for one name the first stands. Returns what is wrong: the names of
    /// such a certificate keep what they had.
    pub fn replace(&self, wanted: Vec<Certificate>) -> Vec<BadCertificate> {
        let before = self.current.set();
        let (mut set, mut faults, mut wrong) = (Set::default(), Vec::new(), Vec::new());
        for certificate in wanted {
            match self.served(&certificate, &before) {
                Ok(served) => add(&mut set, &certificate, &served, &mut faults),
                Err(fault) => {
                    faults.push(fault);
                    wrong.push(certificate);
                }
            }
        }
        for key in wrong.iter().flat_map(|wrong| &wrong.names).filter_map(|name| key(name)) {
            if let Some(served) = before.under(&key) {
                set.add(key, Arc::clone(served));
            }
        }
        *self.current.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        faults
    }

    fn served(&self, certificate: &Certificate, before: &Set) -> Result<Arc<Served>, BadCertificate> {
        let source = || certificate.source.clone();
        let first = certificate
            .names
            .first()
            .ok_or_else(|| BadCertificate::NoName(source()))?;
        let hash = self.hashes.hash_one((&certificate.chain_pem, &certificate.key_pem));
        if let Some(same) = key(first).and_then(|key| before.under(&key))
            && same.hash == hash
            && same.source == certificate.source
        {
            return Ok(Arc::clone(same));
        }
        let chain = CertificateDer::pem_slice_iter(&certificate.chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|fault| BadCertificate::Chain(source(), fault))?;
        if chain.is_empty() {
            return Err(BadCertificate::NoChain(source()));
        }
        let key = PrivateKeyDer::from_pem_slice(&certificate.key_pem).map_err(|fault| match fault {
            pem::Error::NoItemsFound => BadCertificate::NoKey(source()),
            fault => BadCertificate::Key(source(), fault),
        })?;
        let key = CertifiedKey::from_der(chain, key, &self.provider).map_err(|fault| match fault {
            rustls::Error::InconsistentKeys(_) => BadCertificate::Mismatch(source()),
            fault => BadCertificate::Unusable(source(), fault),
        })?;
        Ok(Arc::new(Served {
            source: source(),
            hash,
            key: Arc::new(key),
        }))
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn add(set: &mut Set, certificate: &Certificate, served: &Arc<Served>, faults: &mut Vec<BadCertificate>) {
    for name in &certificate.names {
        let source_name = certificate.source.clone();
        let Some(key) = key(name) else {
            let name = name.clone();
            faults.push(BadCertificate::Name { source_name, name });
            continue;
        };
        if let Some(holder) = set.under(&key) {
            // Named twice by itself is no quarrel.
            if !Arc::ptr_eq(holder, served) {
                faults.push(BadCertificate::Taken {
                    source_name,
                    name: name.clone(),
                    holder: holder.source.clone(),
                });
            }
            continue;
        }
        set.add(key, Arc::clone(served));
    }
}

#[cfg(test)]
mod tests;
