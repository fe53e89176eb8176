// SPDX-License-Identifier: Apache-2.0
//! What the path asks of a client of HTTP/2.
//!
//! Invariants: a reset goes through with its reason; a body that breaks off ends in a reset, never as if it were whole.
//! Depends on: exchange, frames, room, side, to_one, to_two.

use super::side::Two;
use super::{to_one, to_two};
use crate::exchange::{Broken, Client, Lane};
use crate::frames::{begin, inform, send};
use crate::message::{Answer, Request};
use crate::progress::Progress;
use crate::protocol::PodProtocol;
use crate::room::Limit;
use h2::Reason;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::future::poll_fn;

impl Client for Two {
    async fn answer(&mut self, answer: &Answer, progress: &Progress) -> Result<(), Broken> {
        let mut head = answer.head();
        if !self.is_head || !answer.body.is_empty() {
            head.headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
        }
        let is_bare = self.is_head || answer.body.is_empty();
        progress.answering(answer.status.as_u16());
        begin(&mut self.respond, &mut self.out, head, is_bare)?;
        if !is_bare && let Some(out) = &mut self.out {
            let sent = send(out, answer.body.clone(), true, self.write_time).await;
            if matches!(sent, Err(Broken::Unread)) {
                self.room.refused(Limit::WriteTime);
            }
            sent?;
            progress.wrote(answer.body.len() as u64);
        }
        Ok(())
    }

    async fn forward(&mut self, request: &Request, lane: &Lane<'_>) -> Result<(), Broken> {
        if std::mem::take(&mut self.waits) {
            // There is room on a pod: it may come. Whether the pod wants it, its answer will tell.
            inform(&mut self.respond, StatusCode::CONTINUE, HeaderMap::new());
        }
        let is_by_one = match lane.protocol {
            PodProtocol::Http1 => true,
            // Applications that take WebSocket take it by HTTP/1.1; extended CONNECT is rare.
            PodProtocol::AsClient => self.protocol.is_some() || request.is_connect(),
            PodProtocol::H2c => request.is_connect(),
        };
        match is_by_one {
            true => to_one::run(self, request, lane).await,
            false => to_two::run(self, request, lane).await,
        }
    }

    async fn gone(&mut self) {
        drop(poll_fn(|context| self.respond.poll_reset(context)).await);
    }

    fn cut(&mut self) {
        match &mut self.out {
            Some(out) => out.send_reset(self.reason),
            None => self.respond.send_reset(Reason::CANCEL),
        }
    }
}
