// SPDX-License-Identifier: Apache-2.0
//! Every bound of the request path, by name.
//!
//! Invariants: nothing in this crate grows with what a client sends beyond one of these.
//! Depends on: logic (limiter).

use logic::limiter::{QueueBound, Settings};
use std::time::Duration;

/// The largest window of RFC 9113 6.9.1.
const WIDEST: u32 = (1 << 31) - 1;

/// Bounds of one listener; those named `all_` are of all that share a `Room`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head, all lines together; more is answered with 431 (Knative: 1 MiB and 4 KiB).
    pub request_head: usize,
    /// Bytes of a response's head and of each informational one; more is a 502 (Knative: 10 MiB).
    pub response_head: usize,
    /// Header fields of a head; more is answered with 431.
    pub header_count: usize,
    /// Informational responses passed on before a final one.
    pub informational: usize,
    /// How long a client may take for a head, and how long a connection may be idle before one begins.
    pub head_time: Duration,
    /// How long a TLS handshake may take, from the connection's first moment.
    pub handshake_time: Duration,
    /// TLS handshakes computed at once, of a listener; the next one waits within its time.
    pub handshakes: usize,
    /// How long an idle HTTP/1.1 connection is kept for its next request.
    pub idle_time: Duration,
    /// Bytes read ahead from a client while its request waits or runs.
    pub read_ahead: usize,
    /// How long a client may leave what it is sent unread; zero: any time.
    pub write_time: Duration,
    /// How long one way of a tunnel may stand still after the other has ended; zero: as long as the request may take.
    pub half_open_time: Duration,
    /// How long a client may send nothing within a body; zero: as long as the request may take. Later: 408.
    pub body_time: Duration,
    /// Bytes of a request's body; 0: any number. More is answered with 413.
    pub request_body: u64,
    /// Bytes of a line with a chunk's size, its extensions included; more is answered with 400.
    pub chunk_line: usize,
    /// Bytes of a body's trailers; more is answered with 400.
    pub trailers: usize,
    /// How long what a client still sends after its answer is read, so that the answer is not lost in a reset.
    pub linger_time: Duration,
    /// Client connections of a listener at once; the next one waits to be accepted.
    pub connections: usize,
    /// Client connections of all listeners at once; the next one is answered with 503.
    pub all_connections: usize,
    /// HTTP/2 streams of all connections at once; the next one is refused (`REFUSED_STREAM`: the client may send it again).
    pub all_streams: usize,
    /// Bytes of heads above 16 KiB, and of what was read after them, in all; more is answered with 503.
    pub all_heads: usize,
    /// Bytes of pods' heads above 16 KiB in all, until their answers have gone on; more is a 502.
    pub all_response_heads: usize,
    /// Sum of the windows of HTTP/2 connections; those that come later get the smallest the protocol has, 65535 bytes.
    pub all_windows: usize,
    /// Streams of an HTTP/2 connection at once.
    pub streams: u32,
    /// Resets by the client that an HTTP/2 connection may have unhandled (rapid reset).
    pub pending_resets: usize,
    /// Frames of an HTTP/2 connection in a second that belong to no request, as settings, pings and priorities; beside them as
    /// many as frames and KiB of answers were sent (window updates). Beyond: the connection ends.
    pub control_frames: u32,
    /// Bytes of an HTTP/2 stream in flight, each way.
    pub stream_window: u32,
    /// Bytes of an HTTP/2 connection in flight, each way.
    pub connection_window: u32,
    /// Bytes of an HTTP/2 stream that wait to be written, each way, to clients, pods and other nodes. The `h2` crate takes so many
    /// of what the other side's window allows, however slowly that side reads; as many as are gathered for HTTP/1.1 keep its
    /// connection busy.
    pub send_buffer: usize,
    /// Bytes in flight, each way, of a stream of a pod's HTTP/2 connection, and of a request that goes through another node.
    /// A connection has as much for each of them: who does not read holds up nobody else.
    pub pod_stream_window: u32,
    /// HTTP/2 connections to a pod: beyond that streams wait for each other.
    pub pod_connections: usize,
    /// Streams on one of them before there is another, if the pod allows so many: each connection is one task.
    pub pod_streams: u32,
    /// Requests on a connection to another node's daemon, before there is another; alike on all nodes.
    pub peer_streams: u32,
    /// Requests that may wait for a revision; the next one is answered with 503.
    pub queue: u32,
    /// Bytes of their heads together; more is answered with 503.
    pub queue_heads: u64,
    /// Idle connections kept to each pod.
    pub idle_to_pod: usize,
    /// How long an idle connection to a pod is kept; it is closed within half as long again.
    pub idle_to_pod_time: Duration,
    /// `Retry-After` of a refusal for want of room, in seconds; `None`: no such header, as Knative.
    pub retry_after: Option<u32>,
}

impl Limits {
    /// The most that `pod_stream_window` may be beside these `pod_streams` and `peer_streams`: so many windows are one
    /// connection's.
    #[must_use]
    pub fn widest_pod_stream(&self) -> u32 {
        WIDEST / self.pod_streams.max(self.peer_streams).max(1)
    }

    /// What holds for the requests of a revision whose pods may run so many each.
    #[must_use]
    pub fn of_revision(&self, container_concurrency: u32) -> Settings {
        let mut settings = Settings::new(container_concurrency);
        settings.queue = QueueBound::Waiting(self.queue);
        settings.queue_bytes = self.queue_heads;
        settings
    }

    /// The window of another daemon's connection: room for its requests, and for those that came before it was known.
    pub(crate) fn peer_connection_window(&self) -> u32 {
        let each = self.pod_stream_window.max(self.stream_window);
        each.saturating_mul(self.peer_streams).min(WIDEST)
    }

    /// The window of a connection on which so many streams may each fill theirs.
    pub(crate) fn pod_connection_window(&self, streams: u32) -> u32 {
        self.pod_stream_window.saturating_mul(streams).min(WIDEST)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head: (1 << 20) + 4096,
            response_head: 10 << 20,
            header_count: 10_000,
            informational: 16,
            head_time: Duration::from_secs(60),
            handshake_time: Duration::from_secs(10),
            handshakes: 512,
            idle_time: Duration::from_secs(300),
            read_ahead: 64 << 10,
            write_time: Duration::from_secs(60),
            half_open_time: Duration::from_secs(10),
            body_time: Duration::ZERO,
            request_body: 0,
            chunk_line: 4096,
            trailers: 64 << 10,
            linger_time: Duration::from_millis(500),
            connections: 65_536,
            all_connections: 131_072,
            all_streams: 65_536,
            all_heads: 256 << 20,
            all_response_heads: 256 << 20,
            all_windows: 512 << 20,
            streams: 250,
            pending_resets: 50,
            control_frames: 10_000,
            stream_window: 1 << 20,
            connection_window: 4 << 20,
            send_buffer: 64 << 10,
            pod_stream_window: 256 << 10,
            pod_connections: 16,
            pod_streams: 100,
            peer_streams: 200,
            queue: Settings::DEPTH,
            queue_heads: Settings::BYTES,
            idle_to_pod: 1000,
            idle_to_pod_time: Duration::from_secs(90),
            retry_after: Some(1),
        }
    }
}
