// SPDX-License-Identifier: Apache-2.0
//! What the file says about the kernel part: where it is, targets, pods that are counted.
//!
//! Depends on: serde.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The kernel part.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::proxy) struct Kernel {
    /// Below this cgroup servers are counted and clients steered.
    pub(in crate::proxy) cgroup: PathBuf,
    #[serde(default)]
    pub(in crate::proxy) cgroup_root: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::proxy) pin_dir: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::proxy) proc_root: Option<PathBuf>,
    /// Another BPF object than the one built in.
    #[serde(default)]
    pub(in crate::proxy) object: Option<PathBuf>,
    /// Where clients reach the cluster-local listener, one address a family; none: as it stands there.
    #[serde(default)]
    pub(in crate::proxy) gateway: Vec<SocketAddr>,
}

/// An address inside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::proxy) struct Target {
    pub(in crate::proxy) address: SocketAddr,
    /// The revision it is of.
    #[serde(default)]
    pub(in crate::proxy) to: Option<String>,
    /// Or the host whose routes it follows.
    #[serde(default)]
    pub(in crate::proxy) host: Option<String>,
    #[serde(default)]
    pub(in crate::proxy) mode: Mode,
}

/// Whether clients go straight to pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::proxy) enum Mode {
    /// Where nothing is lost by it.
    #[default]
    Auto,
    /// As the annotation `sluice.dev/direct: enabled`.
    Direct,
    /// As `disabled`.
    Buffered,
}

/// A pod: an address, or an address and where it is.
#[derive(Clone, Debug)]
pub(in crate::proxy) enum Pod {
    /// Of this node, not counted by the kernel.
    Address(SocketAddr),
    /// Counted, or of another node.
    Placed(PlacedPod),
}

/// A pod and where it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::proxy) struct PlacedPod {
    address: SocketAddr,
    /// The file of its network namespace.
    #[serde(default)]
    netns: Option<PathBuf>,
    /// The node whose daemon counts its slots; none: this one.
    #[serde(default)]
    node: Option<String>,
}

impl<'de> Deserialize<'de> for Pod {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Pod;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("`address:port`, or {address, netns, node}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Pod, E> {
        let address = text
            .parse()
            .map_err(|_| E::custom(format!("{text:?} is no `address:port`; names are not looked up")))?;
        Ok(Pod::Address(address))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Pod, A::Error> {
        PlacedPod::deserialize(MapAccessDeserializer::new(map)).map(Pod::Placed)
    }
}

impl Pod {
    pub(in crate::proxy) fn node(&self) -> Option<&str> {
        match self {
            Self::Address(_) => None,
            Self::Placed(pod) => pod.node.as_deref(),
        }
    }

    pub(in crate::proxy) fn address(&self) -> SocketAddr {
        match self {
            Self::Address(address) => *address,
            Self::Placed(pod) => pod.address,
        }
    }

    pub(in crate::proxy) fn netns(&self) -> Option<&PathBuf> {
        match self {
            Self::Address(_) => None,
            Self::Placed(pod) => pod.netns.as_ref(),
        }
    }
}
