// SPDX-License-Identifier: Apache-2.0
//! A client of HTTP/2 with one stream open.
//!
//! Depends on: room, h2.

use crate::room::Room;
use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use std::time::Duration;

/// An open stream.
pub(super) struct Two {
    pub(super) body: RecvStream,
    pub(super) respond: SendResponse<Bytes>,
    /// Once the head of the response is out.
    pub(super) out: Option<SendStream<Bytes>>,
    pub(super) is_head: bool,
    /// What an extended CONNECT wants to speak (RFC 8441).
    pub(super) protocol: Option<Protocol>,
    /// The client waits for 100 (Continue) before it sends the body.
    pub(super) waits: bool,
    /// How a response that breaks off is reset.
    pub(super) reason: Reason,
    /// How long an answer of ours may stay unread; zero: any time.
    pub(super) write_time: Duration,
    /// Where it is counted if it does.
    pub(super) room: Room,
}
