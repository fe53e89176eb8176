// SPDX-License-Identifier: Apache-2.0
//! The two webhooks over TLS, as the API server calls them.
//!
//! Mechanism: a thread with its own runtime answers by `api::admission::webhook`; the configurations that make the API
//! server call it are bound to one namespace, so that other cases do not notice.
//! Depends on: rig (certificates), api, hyper, rustls.

use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use api::admission::{Hook, webhook};
use api::context::Settings;
use api::kind::Kind;
use base64::Engine;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::rig::Place;

/// Kinds whose objects the webhooks see.
const KINDS: [Kind; 10] = [
    Kind::Service,
    Kind::Configuration,
    Kind::Revision,
    Kind::Route,
    Kind::DomainMapping,
    Kind::PodAutoscaler,
    Kind::Metric,
    Kind::Ingress,
    Kind::ServerlessService,
    Kind::Certificate,
];

/// Serves both webhooks until the process ends, and has the API server call them for the namespace of `place`.
pub(crate) fn install(place: &Place) -> Result<()> {
    let config = tls(place.certificates())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding the webhook")?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || runtime.block_on(serve(listener, TlsAcceptor::from(Arc::new(config)))));
    let authority = std::fs::read(place.certificates().join("ca.crt")).context("reading ca.crt")?;
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    for (hook, kind) in [
        (Hook::Defaulting, "MutatingWebhookConfiguration"),
        (Hook::Validation, "ValidatingWebhookConfiguration"),
    ] {
        place.apply(&configuration(hook, kind, place.namespace(), port, &authority))?;
    }
    Ok(())
}

fn tls(folder: &Path) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(folder.join("webhook.crt"))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .context("reading webhook.crt")?;
    let key = PrivateKeyDer::from_pem_file(folder.join("webhook.key")).context("reading webhook.key")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let settings = Arc::new(Settings::default());
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, settings) = (acceptor.clone(), Arc::clone(&settings));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let answer = service_fn(|request| answer(request, &settings));
            // The API server closes connections as it likes.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, settings: &Settings) -> Result<Response<Full<Bytes>>, Infallible> {
    let hook = webhook::at(request.uri().path());
    let body = request.into_body().collect().await;
    let response = match (hook, body) {
        (Some(hook), Ok(body)) => webhook::answer(hook, &body.to_bytes(), settings),
        _ => Value::Null,
    };
    Ok(Response::new(Full::new(Bytes::from(response.to_string()))))
}

/// As Knative registers its webhooks (control-plane spec 2.1), at an address of this machine.
fn configuration(hook: Hook, kind: &str, namespace: &str, port: u16, authority: &str) -> Value {
    let operations = match hook {
        Hook::Defaulting => json!(["CREATE", "UPDATE"]),
        Hook::Validation => json!(["CREATE", "UPDATE", "DELETE"]),
    };
    let rules: Vec<_> = KINDS
        .iter()
        .map(|kind| {
            json!({
                "apiGroups": [kind.group()],
                "apiVersions": [kind.version()],
                "resources": [kind.plural(), format!("{}/status", kind.plural())],
                "operations": operations,
            })
        })
        .collect();
    let name = match hook {
        Hook::Defaulting => "webhook.serving.knative.dev",
        Hook::Validation => "validation.webhook.serving.knative.dev",
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": [{
            "name": name,
            "clientConfig": {"url": format!("https://127.0.0.1:{port}{}", webhook::path(hook)), "caBundle": authority},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": rules,
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "timeoutSeconds": 10,
        }],
    })
}
