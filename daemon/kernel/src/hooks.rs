// SPDX-License-Identifier: Apache-2.0
//! The places our programs stand at.
//!
//! Invariants: [`Hook::word`] is part of pin names that other generations read: frozen.
//! Depends on: `abi`, `sys`.

use abi::names;

use crate::sys::link::AttachPoint;

/// What to attach to a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Count requests of servers in the cgroup.
    pub account: bool,
    /// Redirect clients in the cgroup.
    pub redirect: bool,
}

/// One place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Requests.
    Ingress,
    /// Responses.
    Egress,
    /// Connections.
    SockOps,
    /// connect(), IPv4.
    Connect4,
    /// connect(), IPv6.
    Connect6,
    /// getpeername(), IPv4.
    GetPeerName4,
    /// getpeername(), IPv6.
    GetPeerName6,
}

impl Hook {
    /// All, in the order of attaching: connections last among the counting ones, so that the first state made finds its
    /// packets seen.
    pub const ALL: [Self; 7] = [
        Self::Ingress,
        Self::Egress,
        Self::SockOps,
        Self::GetPeerName4,
        Self::GetPeerName6,
        Self::Connect4,
        Self::Connect6,
    ];

    /// Its name in pins.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::SockOps => "sock_ops",
            Self::Connect4 => "connect4",
            Self::Connect6 => "connect6",
            Self::GetPeerName4 => "getpeername4",
            Self::GetPeerName6 => "getpeername6",
        }
    }

    /// By its name in pins.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.word() == word)
    }

    /// Where the kernel attaches it.
    pub const fn point(self) -> AttachPoint {
        match self {
            Self::Ingress => AttachPoint::Ingress,
            Self::Egress => AttachPoint::Egress,
            Self::SockOps => AttachPoint::SockOps,
            Self::Connect4 => AttachPoint::Connect4,
            Self::Connect6 => AttachPoint::Connect6,
            Self::GetPeerName4 => AttachPoint::GetPeerName4,
            Self::GetPeerName6 => AttachPoint::GetPeerName6,
        }
    }

    /// Whether it changes where clients go.
    pub const fn redirects(self) -> bool {
        matches!(self, Self::Connect4 | Self::Connect6)
    }

    /// Whether it stands in calls of clients.
    pub(crate) const fn is_for_clients(self) -> bool {
        !matches!(self, Self::Ingress | Self::Egress | Self::SockOps)
    }

    /// Place in the order of verifying: what takes the verifier longest is first.
    pub(crate) const fn verified_after(self) -> u8 {
        match self {
            Self::Egress => 0,
            Self::Ingress => 1,
            Self::SockOps => 2,
            Self::Connect4 | Self::Connect6 => 3,
            Self::GetPeerName4 | Self::GetPeerName6 => 4,
        }
    }

    /// Name of the program for it; `None` = this tier has none there.
    pub(crate) const fn program(self, is_exact: bool) -> Option<&'static str> {
        match (self, is_exact) {
            (Self::Ingress, true) => Some(names::INGRESS),
            (Self::Egress, true) => Some(names::EGRESS),
            (Self::Ingress | Self::Egress, false) => None,
            (Self::SockOps, true) => Some(names::SOCK_OPS),
            (Self::SockOps, false) => Some(names::SOCK_OPS_CONNECTIONS),
            (Self::Connect4, _) => Some(names::CONNECT4),
            (Self::Connect6, _) => Some(names::CONNECT6),
            (Self::GetPeerName4, _) => Some(names::GETPEERNAME4),
            (Self::GetPeerName6, _) => Some(names::GETPEERNAME6),
        }
    }

    /// Whether `hooks` ask for it. Redirection needs sock_ops too: it publishes redirected clients.
    pub(crate) const fn is_asked_by(self, hooks: Hooks) -> bool {
        match self {
            Self::Ingress | Self::Egress => hooks.account,
            Self::SockOps => hooks.account || hooks.redirect,
            _ => hooks.redirect,
        }
    }
}
