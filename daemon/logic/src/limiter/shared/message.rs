// SPDX-License-Identifier: Apache-2.0
//! What daemons tell each other about slots, beside asking.
//!
//! Depends on: terms.

use crate::limiter::terms::{NodeId, PodId};

/// What a peer's daemon is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A slot of this pod is kept for it, under this number, until it asks or declines.
    Offer(PodId, u64),
    /// The slot that it keeps under this number is not wanted.
    Decline(PodId, u64),
}

/// Sends a message; called without any lock, must not block.
pub type Outbox = Box<dyn Fn(NodeId, Message) + Send + Sync>;
