// SPDX-License-Identifier: Apache-2.0
//! The listener of TLS, and its clients.

use proxy::{Certificate, Certificates};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whose certificate it is; what is asked for may be another's.
const NAME: &str = "app.example.com";
/// Longer than a handshake takes.
const LIMIT: Duration = Duration::from_secs(30);

/// The listener's certificate, and what clients are to believe.
pub(crate) fn certificates() -> (Arc<Certificates>, String) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let certificates = Certificates::new().unwrap();
    let faults = certificates.replace(vec![Certificate {
        source: "test".to_owned(),
        names: vec![NAME.to_owned()],
        chain_pem: made.cert.pem().into_bytes(),
        key_pem: made.signing_key.serialize_pem().into_bytes(),
    }]);
    assert!(faults.is_empty(), "{faults:?}");
    (Arc::new(certificates), made.cert.pem())
}

/// The listener, as its clients know it.
pub(crate) struct Secured {
    pub(crate) address: SocketAddr,
    believed: RootCertStore,
}

impl Secured {
    /// At this address, with the certificate that is in this text.
    pub(crate) fn new(address: SocketAddr, text: &str) -> Self {
        let mut believed = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
        believed.add(certificate).unwrap();
        Self { address, believed }
    }

    /// A client of this protocol.
    fn client(&self, protocol: &str) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.believed.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config)
    }

    /// Shakes hands.
    pub(crate) async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        let connector = TlsConnector::from(self.client(protocol));
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        let shaking = connector.connect(name, stream);
        timeout(LIMIT, shaking).await.expect("a handshake ends").unwrap()
    }

    /// What a client says first.
    pub(crate) fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from(NAME).unwrap();
        let mut client = ClientConnection::new(self.client("h2"), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    }
}
