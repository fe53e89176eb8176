// SPDX-License-Identifier: Apache-2.0
//! The bodies of the sample server's answers.
//!
//! Invariants: none is held in memory as a whole, however long.
//! Depends on: hyper.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    HeaderMap,
    body::{Body, Frame, Incoming, SizeHint},
};
use tokio::time::Interval;

static BLOCK: [u8; 16 * 1024] = [b'x'; 16 * 1024];
/// Lines of a stream.
pub(crate) const LINES: u32 = 10;

/// An answer's body.
#[derive(Debug)]
pub(crate) enum Answer {
    Text(Option<Bytes>),
    Block(u64),
    /// How many are left, and when; whether they are events.
    Lines(u32, Interval, bool),
    /// What is sent, as it comes.
    Echo(Incoming),
    /// One message, then its trailers.
    Call(Option<Bytes>, Option<HeaderMap>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let data = match self.get_mut() {
            Self::Text(text) => text.take(),
            Self::Block(left) => block(left),
            Self::Lines(0, ..) => None,
            Self::Lines(left, ticks, is_event) => {
                ready!(ticks.poll_tick(context));
                *left -= 1;
                let line = LINES - *left;
                Some(Bytes::from(match is_event {
                    true => format!("data: line {line}\n\n"),
                    false => format!("line {line}\n"),
                }))
            }
            Self::Echo(body) => return Pin::new(body).poll_frame(context),
            Self::Call(message, trailers) => match message.take() {
                Some(message) => Some(message),
                None => return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            },
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(None) | Self::Block(0) | Self::Lines(0, ..) | Self::Call(None, None) => true,
            Self::Echo(body) => body.is_end_stream(),
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Block(left) => SizeHint::with_exact(*left),
            Self::Echo(body) => body.size_hint(),
            Self::Lines(..) | Self::Call(..) => SizeHint::default(),
        }
    }
}

fn block(left: &mut u64) -> Option<Bytes> {
    let length = (*left).min(BLOCK.len() as u64);
    *left -= length;
    (length > 0).then(|| Bytes::from_static(&BLOCK[..length as usize]))
}
