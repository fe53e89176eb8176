// SPDX-License-Identifier: Apache-2.0
//! A listener in the file: an address, or an address and what is special about it.
//!
//! Depends on: serde, proxy.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::SocketAddr;

/// Where clients come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proxy) struct Listen {
    pub(in crate::proxy) address: SocketAddr,
    pub(in crate::proxy) tls: bool,
    pub(in crate::proxy) visibility: Visibility,
    /// Where a redirect to HTTPS leads.
    pub(in crate::proxy) https_port: u16,
    /// Whether `X-Forwarded-Proto` of external clients is believed.
    pub(in crate::proxy) trust_forwarded_proto: bool,
}

impl Listen {
    /// Whether clients inside the cluster may be steered here.
    pub(in crate::proxy) fn is_inside(&self) -> bool {
        self.visibility == Visibility::ClusterLocal && !self.tls
    }
}

/// Who may come in, or may find a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::proxy) enum Visibility {
    #[default]
    External,
    ClusterLocal,
}

impl From<Visibility> for proxy::Visibility {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::External => Self::External,
            Visibility::ClusterLocal => Self::ClusterLocal,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    address: SocketAddr,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    visibility: Visibility,
    #[serde(default = "https")]
    https_port: u16,
    #[serde(default)]
    trust_forwarded_proto: bool,
}

fn https() -> u16 {
    443
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Listen;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("`address:port`, or {address, tls, visibility, https_port, trust_forwarded_proto}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Listen, E> {
        let address = text
            .parse()
            .map_err(|_| E::custom(format!("{text:?} is no `address:port`")))?;
        Ok(Listen {
            address,
            tls: false,
            visibility: Visibility::External,
            https_port: https(),
            trust_forwarded_proto: false,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listen, A::Error> {
        let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Listen {
            address: fields.address,
            tls: fields.tls,
            visibility: fields.visibility,
            https_port: fields.https_port,
            trust_forwarded_proto: fields.trust_forwarded_proto,
        })
    }
}
