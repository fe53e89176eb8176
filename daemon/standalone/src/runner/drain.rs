// SPDX-License-Identifier: Apache-2.0
//! The seam to the data plane: which pods run, and when a pod's requests have ended.
//!
//! Depends on: nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;

/// A pod that has a place: it is told before its containers start, and until they have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningPod {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Where it takes requests, if it is a revision's.
    pub port: Option<u16>,
    /// Its network namespace: a file to open.
    pub netns: PathBuf,
    /// Its cgroup (version 2): those of its containers are below.
    pub cgroup: PathBuf,
}

/// Who knows whether a pod still has requests.
pub trait Drain: Send + Sync + std::fmt::Debug {
    /// Returns when the pod gets no new requests and has ended those it had; it is dropped when the pod's time is over.
    fn drained(&self, uid: &str) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Nobody carries requests to pods: they end as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDrain;

impl Drain for NoDrain {
    fn drained(&self, _uid: &str) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}
