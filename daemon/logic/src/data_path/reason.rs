// SPDX-License-Identifier: Apache-2.0
//! Why a route or revision is not direct: words for programs, sentences for people.
//!
//! Invariants: a word never changes; the order is that of importance to a reader: what somebody chose, what a route does,
//! what a revision needs, what passes by itself.
//! Depends on: nothing.

/// One reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reason {
    /// By annotation.
    #[error("the annotation sluice.dev/direct is disabled")]
    Disabled,
    /// By config-network.
    #[error("direct is disabled in config-network, and no annotation sluice.dev/direct enables it")]
    DisabledInCluster,
    /// The node's kernel, or its rights, do not do.
    #[error("this node cannot redirect connections: `sluice check` says what it lacks")]
    Kernel,
    /// Nobody has a share.
    #[error("no revision has traffic")]
    NoTraffic,
    /// So many have one.
    #[error("traffic is split between {0} revisions")]
    TrafficSplit(usize),
    /// The one with all traffic is not known here.
    #[error("the revision with the traffic is not known yet")]
    UnknownRevision,
    /// A rule needs to see headers.
    #[error("a rule looks at the headers of requests")]
    HeaderRule,
    /// A rule needs to see paths.
    #[error("a rule looks at the path of requests")]
    PathRule,
    /// Tags by header.
    #[error("revisions are chosen by the header Knative-Serving-Tag (tag-header-based-routing)")]
    TagHeader,
    /// HTTPS only.
    #[error("plain HTTP is redirected or refused (http-protocol)")]
    HttpsOnly,
    /// A hard limit.
    #[error("containerConcurrency is {0}: a hard limit needs the gateway")]
    ContainerConcurrency(u32),
    /// A request log.
    #[error("a request log is asked for")]
    RequestLog,
    /// Spans.
    #[error("traces are sampled")]
    Tracing,
    /// Connections would stay with one pod.
    #[error("HTTP/2 keeps a client on one pod: the annotation sluice.dev/direct enables it all the same")]
    Http2,
    /// Scaled to zero, or starting.
    #[error("no pod is ready")]
    NoPods,
    /// A burst would not find room (target-burst-capacity).
    #[error("the pods lack room for a burst: excess burst capacity is {0}")]
    BurstCapacity(i32),
    /// Clients that came before the newest pods keep the others busy.
    #[error("the newest pods are idle beside busy ones: requests are spread one by one until they are not")]
    Unbalanced,
    /// The autoscaler has not spoken.
    #[error("the autoscaler has not decided yet")]
    NotScaled,
}

impl Reason {
    /// One word, as a condition's reason.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::DisabledInCluster => "DisabledInCluster",
            Self::Kernel => "Kernel",
            Self::NoTraffic => "NoTraffic",
            Self::TrafficSplit(_) => "TrafficSplit",
            Self::UnknownRevision => "UnknownRevision",
            Self::HeaderRule => "HeaderRule",
            Self::PathRule => "PathRule",
            Self::TagHeader => "TagHeader",
            Self::HttpsOnly => "HttpsOnly",
            Self::ContainerConcurrency(_) => "ContainerConcurrency",
            Self::RequestLog => "RequestLog",
            Self::Tracing => "Tracing",
            Self::Http2 => "Http2",
            Self::NoPods => "NoPods",
            Self::BurstCapacity(_) => "BurstCapacity",
            Self::Unbalanced => "Unbalanced",
            Self::NotScaled => "NotScaled",
        }
    }
}
