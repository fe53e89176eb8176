// SPDX-License-Identifier: Apache-2.0
//! `limits` of the file: every bound of the request path by its name, with its unit.
//!
//! Mechanism: what is not named is as `proxy::Limits` has it. Sizes are bytes or `64Ki`, `1Mi`, `1Gi`; times are as Go writes
//! them: `500ms`, `60s`, `5m`.
//! Depends on: serde, proxy.

use logic::go::span::Span;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;

/// The section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::proxy) struct Limits {
    request_head: Size,
    response_head: Size,
    header_count: usize,
    informational: usize,
    head_time: Time,
    handshake_time: Time,
    handshakes: usize,
    idle_time: Time,
    read_ahead: Size,
    write_time: Time,
    half_open_time: Time,
    body_time: Time,
    request_body: Size,
    chunk_line: Size,
    trailers: Size,
    linger_time: Time,
    connections: usize,
    all_connections: usize,
    all_streams: usize,
    all_heads: Size,
    all_response_heads: Size,
    all_windows: Size,
    streams: u32,
    pending_resets: usize,
    control_frames: u32,
    stream_window: Size,
    connection_window: Size,
    send_buffer: Size,
    pod_stream_window: Size,
    pod_connections: usize,
    pod_streams: u32,
    peer_streams: u32,
    queue: u32,
    queue_heads: Size,
    idle_to_pod: usize,
    idle_to_pod_time: Time,
    retry_after: Time,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = proxy::Limits::default();
        Self {
            request_head: Size(limits.request_head),
            response_head: Size(limits.response_head),
            header_count: limits.header_count,
            informational: limits.informational,
            head_time: Time(limits.head_time),
            handshake_time: Time(limits.handshake_time),
            handshakes: limits.handshakes,
            idle_time: Time(limits.idle_time),
            read_ahead: Size(limits.read_ahead),
            write_time: Time(limits.write_time),
            half_open_time: Time(limits.half_open_time),
            body_time: Time(limits.body_time),
            request_body: Size(usize::try_from(limits.request_body).unwrap_or(usize::MAX)),
            chunk_line: Size(limits.chunk_line),
            trailers: Size(limits.trailers),
            linger_time: Time(limits.linger_time),
            connections: limits.connections,
            all_connections: limits.all_connections,
            all_streams: limits.all_streams,
            all_heads: Size(limits.all_heads),
            all_response_heads: Size(limits.all_response_heads),
            all_windows: Size(limits.all_windows),
            streams: limits.streams,
            pending_resets: limits.pending_resets,
            control_frames: limits.control_frames,
            stream_window: Size(usize::try_from(limits.stream_window).unwrap_or(usize::MAX)),
            connection_window: Size(usize::try_from(limits.connection_window).unwrap_or(usize::MAX)),
            send_buffer: Size(limits.send_buffer),
            pod_stream_window: Size(usize::try_from(limits.pod_stream_window).unwrap_or(usize::MAX)),
            pod_connections: limits.pod_connections,
            pod_streams: limits.pod_streams,
            peer_streams: limits.peer_streams,
            queue: limits.queue,
            queue_heads: Size(usize::try_from(limits.queue_heads).unwrap_or(usize::MAX)),
            idle_to_pod: limits.idle_to_pod,
            idle_to_pod_time: Time(limits.idle_to_pod_time),
            retry_after: Time(Duration::from_secs(limits.retry_after.unwrap_or(0).into())),
        }
    }
}

/// The table that fields are kept in has 24 576 at most, and some are added on the way to a pod.
const MOST_FIELDS: usize = 24_000;

/// What no listener could work with.
#[derive(Debug, thiserror::Error)]
#[error("limits.{0}: {1}")]
pub(in crate::proxy) struct BadLimit(&'static str, &'static str);

impl Limits {
    /// Of what may not be 0, that it is not.
    fn serves(&self) -> Result<(), BadLimit> {
        let missing = [
            ("request_head", self.request_head.0 == 0),
            ("response_head", self.response_head.0 == 0),
            ("header_count", self.header_count == 0),
            ("head_time", self.head_time.0.is_zero()),
            ("handshake_time", self.handshake_time.0.is_zero()),
            ("handshakes", self.handshakes == 0),
            ("idle_time", self.idle_time.0.is_zero()),
            ("read_ahead", self.read_ahead.0 == 0),
            ("chunk_line", self.chunk_line.0 == 0),
            ("trailers", self.trailers.0 == 0),
            ("connections", self.connections == 0),
            ("all_connections", self.all_connections == 0),
            ("all_streams", self.all_streams == 0),
            ("all_heads", self.all_heads.0 == 0),
            ("all_response_heads", self.all_response_heads.0 == 0),
            ("streams", self.streams == 0),
            ("pending_resets", self.pending_resets == 0),
            ("control_frames", self.control_frames == 0),
            ("pod_connections", self.pod_connections == 0),
            ("pod_streams", self.pod_streams == 0),
            ("peer_streams", self.peer_streams == 0),
            ("queue", self.queue == 0),
            ("queue_heads", self.queue_heads.0 == 0),
        ];
        match missing.iter().find(|(_, is_missing)| *is_missing) {
            Some((name, _)) => Err(BadLimit(name, "must be above 0")),
            None => Ok(()),
        }
    }

    /// As the request path takes them.
    pub(in crate::proxy) fn checked(&self) -> Result<proxy::Limits, BadLimit> {
        self.serves()?;
        if self.header_count > MOST_FIELDS {
            return Err(BadLimit("header_count", "must be at most 24000"));
        }
        // Tokio counts places in fewer bits than a usize has.
        let most = tokio::sync::Semaphore::MAX_PERMITS;
        if self.connections > most || self.handshakes > most {
            return Err(BadLimit("connections", "too many"));
        }
        let limits = proxy::Limits {
            request_head: self.request_head.0,
            response_head: self.response_head.0,
            header_count: self.header_count,
            informational: self.informational,
            head_time: self.head_time.0,
            handshake_time: self.handshake_time.0,
            handshakes: self.handshakes,
            idle_time: self.idle_time.0,
            read_ahead: self.read_ahead.0,
            write_time: self.write_time.0,
            half_open_time: self.half_open_time.0,
            body_time: self.body_time.0,
            request_body: self.request_body.0 as u64,
            chunk_line: self.chunk_line.0,
            trailers: self.trailers.0,
            linger_time: self.linger_time.0,
            connections: self.connections,
            all_connections: self.all_connections,
            all_streams: self.all_streams,
            all_heads: self.all_heads.0,
            all_response_heads: self.all_response_heads.0,
            all_windows: self.all_windows.0,
            streams: self.streams,
            pending_resets: self.pending_resets,
            control_frames: self.control_frames,
            stream_window: window("stream_window", self.stream_window)?,
            connection_window: window("connection_window", self.connection_window)?,
            send_buffer: usize::try_from(window("send_buffer", self.send_buffer)?).unwrap_or(usize::MAX),
            pod_stream_window: window("pod_stream_window", self.pod_stream_window)?,
            pod_connections: self.pod_connections,
            pod_streams: self.pod_streams,
            peer_streams: self.peer_streams,
            queue: self.queue,
            queue_heads: self.queue_heads.0 as u64,
            idle_to_pod: self.idle_to_pod,
            idle_to_pod_time: self.idle_to_pod_time.0,
            retry_after: match u32::try_from(self.retry_after.0.as_secs()) {
                Ok(0) => None,
                Ok(seconds) => Some(seconds),
                Err(_) => return Err(BadLimit("retry_after", "too long")),
            },
        };
        // A connection has room for the windows of all its streams (RFC 9113 6.9.1: 31 bits).
        if limits.pod_stream_window > limits.widest_pod_stream() {
            let message = "times pod_streams, and times peer_streams, it must be at most 2147483647 bytes: make one of them smaller";
            return Err(BadLimit("pod_stream_window", message));
        }
        Ok(limits)
    }
}

/// RFC 9113 6.9.1: a window has 31 bits.
fn window(name: &'static str, size: Size) -> Result<u32, BadLimit> {
    match u32::try_from(size.0) {
        Ok(size @ 1..=0x7fff_ffff) => Ok(size),
        _ => Err(BadLimit(name, "must be from 1 to 2147483647 bytes")),
    }
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Size;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("bytes, as 4096, 64Ki, 1Mi or 1Gi")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
                usize::try_from(bytes).map(Size).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                size(text).ok_or_else(|| E::custom(format!("{text:?} is no size: 4096, 64Ki, 1Mi or 1Gi is one")))
            }
        }
        from.deserialize_any(Any)
    }
}

fn size(text: &str) -> Option<Size> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("", 0)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    let number: usize = number.parse().ok()?;
    number.checked_mul(1 << shift).map(Size)
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match Span::parse(&text) {
            Ok(span) if span >= Span::ZERO => Ok(Self(span.to_duration())),
            Ok(_) => Err(D::Error::custom(format!("{text:?} is below zero"))),
            Err(fault) => Err(D::Error::custom(fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Limits, String> {
        serde_saphyr::from_str(text).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let limits = read("{head_time: 5s, request_head: 64Ki, connections: 10, retry_after: 0s}").unwrap();
        let expected = proxy::Limits {
            head_time: Duration::from_secs(5),
            request_head: 65_536,
            connections: 10,
            retry_after: None,
            ..proxy::Limits::default()
        };
        assert_eq!(limits.checked().unwrap(), expected);
        assert_eq!(read("{}").unwrap().checked().unwrap(), proxy::Limits::default());
    }

    #[test]
    fn what_bounds_pods_and_queues_has_names() {
        let text = "{send_buffer: 32Ki, pod_connections: 2, pod_streams: 4000, pod_stream_window: 512Ki, peer_streams: 1000, \
                    queue: 5, queue_heads: 1Mi}";
        let limits = read(text).unwrap().checked().unwrap();
        let expected = proxy::Limits {
            send_buffer: 32 << 10,
            pod_connections: 2,
            pod_streams: 4000,
            pod_stream_window: 512 << 10,
            peer_streams: 1000,
            queue: 5,
            queue_heads: 1 << 20,
            ..proxy::Limits::default()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn a_wrong_limit_is_named() {
        const TOO_WIDE: &str = "limits.pod_stream_window: times pod_streams, and times peer_streams, it must be at most \
                                2147483647 bytes: make one of them smaller";
        for (text, said) in [
            ("{head_time: 60}", "missing unit"),
            ("{head_time: -1s}", "below zero"),
            ("{request_head: 1MB}", "no size"),
            ("{heads: 1}", "heads"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
        }
        for (text, said) in [
            ("{connections: 0}", "limits.connections: must be above 0"),
            ("{header_count: 24001}", "limits.header_count: must be at most 24000"),
            ("{chunk_line: 0}", "limits.chunk_line: must be above 0"),
            ("{trailers: 0}", "limits.trailers: must be above 0"),
            ("{head_time: 0s}", "limits.head_time: must be above 0"),
            ("{handshake_time: 0s}", "limits.handshake_time: must be above 0"),
            ("{idle_time: 0s}", "limits.idle_time: must be above 0"),
            ("{streams: 0}", "limits.streams: must be above 0"),
            ("{control_frames: 0}", "limits.control_frames: must be above 0"),
            ("{pending_resets: 0}", "limits.pending_resets: must be above 0"),
            (
                "{stream_window: 4Gi}",
                "limits.stream_window: must be from 1 to 2147483647 bytes",
            ),
            (
                "{send_buffer: 0}",
                "limits.send_buffer: must be from 1 to 2147483647 bytes",
            ),
            (
                "{pod_stream_window: 0}",
                "limits.pod_stream_window: must be from 1 to 2147483647 bytes",
            ),
            ("{pod_stream_window: 16Mi}", TOO_WIDE),
            ("{pod_streams: 10000}", TOO_WIDE),
            ("{peer_streams: 10000}", TOO_WIDE),
            ("{pod_connections: 0}", "limits.pod_connections: must be above 0"),
            ("{pod_streams: 0}", "limits.pod_streams: must be above 0"),
            ("{peer_streams: 0}", "limits.peer_streams: must be above 0"),
            ("{queue: 0}", "limits.queue: must be above 0"),
            ("{queue_heads: 0}", "limits.queue_heads: must be above 0"),
        ] {
            assert_eq!(read(text).unwrap().checked().unwrap_err().to_string(), said);
        }
    }
}
