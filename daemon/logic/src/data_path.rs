// SPDX-License-Identifier: Apache-2.0
//! Whether clients inside the cluster may go straight to the pods (design 4.2).
//!
//! Problem: without a hop nothing of ours stands in the way of a request, so nothing of ours can be done to it; what
//! somebody asked for must never be lost by that.
//! Mechanism: facts about a revision, a route and the cluster in, `Direct` or all reasons for `Buffered` out; the first reason is
//! the condition's, all of them are its message.
//! Invariants: whatever is not known to be harmless buffers; an annotation lifts only what is a matter of taste
//! (`direct` of the cluster, HTTP/2), never a promise.
//! Depends on: nothing.

mod reason;
#[cfg(test)]
mod tests;

pub use reason::Reason;

/// How connections of clients inside the cluster reach the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataPath {
    /// The kernel sends them to a pod.
    Direct,
    /// They go through the gateway, for these reasons: at least one, in the order of [`Reason`], each once.
    Buffered(Vec<Reason>),
}

/// What the application's port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1, and HTTP/1.1 that is upgraded.
    #[default]
    Http1,
    /// HTTP/2 without TLS, as gRPC uses it.
    Http2,
}

/// The annotation `sluice.dev/direct`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Direct although the cluster is not, and although it speaks HTTP/2.
    Enabled,
    /// Never direct.
    Disabled,
}

impl Wish {
    /// Its value as people write it; `None` for another word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("enabled") => Some(Self::Enabled),
            _ if text.eq_ignore_ascii_case("disabled") => Some(Self::Disabled),
            _ => None,
        }
    }
}

/// What matters here of the cluster: its settings, and what its nodes can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// `direct` of config-network.
    pub direct: bool,
    /// A request log is asked for (config-observability: a template, and `logging.enable-request-log`).
    pub request_log: bool,
    /// Spans of requests are sampled (config-tracing or config-observability).
    pub tracing: bool,
    /// Its nodes redirect connections.
    pub redirects: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            direct: true,
            request_log: false,
            tracing: false,
            redirects: true,
        }
    }
}

/// What is known of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RevisionFacts {
    /// `containerConcurrency`; 0: any number.
    pub container_concurrency: u32,
    /// What its port speaks.
    pub protocol: Protocol,
    /// Its annotation.
    pub wish: Option<Wish>,
    /// The autoscaler's last word; `None`: it has not spoken.
    pub excess_burst_capacity: Option<i32>,
    /// Pods that may have requests.
    pub ready_pods: u32,
}

/// Where the requests of a route, or of one of its tags, go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteFacts {
    /// Shares of the revisions in percent, zeroes too, one entry a target.
    pub shares: Vec<Share>,
    /// A rule looks at a request's headers.
    pub header_rule: bool,
    /// A rule looks at a request's path.
    pub path_rule: bool,
    /// The header `Knative-Serving-Tag` chooses a revision (feature `tag-header-based-routing`).
    pub tag_header: bool,
    /// Plain HTTP is redirected to HTTPS or refused (`http-protocol`) on this host.
    pub https_only: bool,
    /// Its annotation.
    pub wish: Option<Wish>,
}

/// One target of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Name of the revision.
    pub revision: Box<str>,
    /// Its percent.
    pub percent: i64,
}

impl RouteFacts {
    /// The only revision with a share; `None` if there is none, or another.
    #[must_use]
    pub fn only_revision(&self) -> Option<&str> {
        let mut taken = self.shares.iter().filter(|share| share.percent > 0);
        let first = taken.next()?;
        taken
            .all(|share| share.revision == first.revision)
            .then_some(&*first.revision)
    }

    fn revisions(&self) -> usize {
        let mut names: Vec<&str> = self
            .shares
            .iter()
            .filter(|share| share.percent > 0)
            .map(|share| &*share.revision)
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}

impl DataPath {
    /// Of a revision, whatever leads to it.
    #[must_use]
    pub fn of_revision(revision: &RevisionFacts, cluster: &Cluster) -> Self {
        let mut reasons = Vec::new();
        wishes(revision.wish, cluster, &mut reasons);
        against_revision(revision, revision.wish, cluster, &mut reasons);
        Self::from_reasons(reasons)
    }

    /// Of a route or tag. `revision` is the one that [`RouteFacts::only_revision`] names, if it is known; the route's own
    /// annotation stands over the revision's.
    #[must_use]
    pub fn of_route(route: &RouteFacts, revision: Option<&RevisionFacts>, cluster: &Cluster) -> Self {
        let wish = route.wish.or(revision.and_then(|revision| revision.wish));
        let mut reasons = Vec::new();
        wishes(wish, cluster, &mut reasons);
        against_route(route, &mut reasons);
        match (route.only_revision(), revision) {
            (Some(_), Some(revision)) => against_revision(revision, wish, cluster, &mut reasons),
            (Some(_), None) => reasons.push(Reason::UnknownRevision),
            // More than one, or none: that is the reason.
            (None, _) => against_cluster(cluster, &mut reasons),
        }
        Self::from_reasons(reasons)
    }

    /// As the reasons say: none is `Direct`.
    #[must_use]
    pub fn from_reasons(mut reasons: Vec<Reason>) -> Self {
        reasons.sort_unstable();
        reasons.dedup();
        match reasons.is_empty() {
            true => Self::Direct,
            false => Self::Buffered(reasons),
        }
    }

    /// With one more reason to buffer, such as pods that do not share the load.
    #[must_use]
    pub fn with(self, reason: Reason) -> Self {
        let mut reasons = match self {
            Self::Direct => Vec::new(),
            Self::Buffered(reasons) => reasons,
        };
        reasons.push(reason);
        Self::from_reasons(reasons)
    }

    /// Whether no hop of ours is in the way.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        *self == Self::Direct
    }

    /// `Direct` or `Buffered`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Direct => "Direct",
            Self::Buffered(_) => "Buffered",
        }
    }

    /// The condition's reason: one word that does not change between versions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Direct => self.word(),
            Self::Buffered(reasons) => reasons.first().map_or(self.word(), Reason::word),
        }
    }

    /// The condition's message: every reason, in sentences of their own; empty for `Direct`.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Direct => String::new(),
            Self::Buffered(reasons) => {
                let all: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                all.join("; ")
            }
        }
    }
}

/// What people said.
fn wishes(wish: Option<Wish>, cluster: &Cluster, reasons: &mut Vec<Reason>) {
    match wish {
        Some(Wish::Disabled) => reasons.push(Reason::Disabled),
        Some(Wish::Enabled) => {}
        None if cluster.direct => {}
        None => reasons.push(Reason::DisabledInCluster),
    }
}

fn against_cluster(cluster: &Cluster, reasons: &mut Vec<Reason>) {
    let found = [
        (cluster.request_log, Reason::RequestLog),
        (cluster.tracing, Reason::Tracing),
        (!cluster.redirects, Reason::Kernel),
    ];
    reasons.extend(found.into_iter().filter(|(is, _)| *is).map(|(_, reason)| reason));
}

fn against_route(route: &RouteFacts, reasons: &mut Vec<Reason>) {
    let revisions = route.revisions();
    let found = [
        (revisions == 0, Reason::NoTraffic),
        (revisions > 1, Reason::TrafficSplit(revisions)),
        (route.header_rule, Reason::HeaderRule),
        (route.path_rule, Reason::PathRule),
        (route.tag_header, Reason::TagHeader),
        (route.https_only, Reason::HttpsOnly),
    ];
    reasons.extend(found.into_iter().filter(|(is, _)| *is).map(|(_, reason)| reason));
}

fn against_revision(revision: &RevisionFacts, wish: Option<Wish>, cluster: &Cluster, reasons: &mut Vec<Reason>) {
    against_cluster(cluster, reasons);
    if revision.container_concurrency > 0 {
        reasons.push(Reason::ContainerConcurrency(revision.container_concurrency));
    }
    if revision.protocol == Protocol::Http2 && wish != Some(Wish::Enabled) {
        reasons.push(Reason::Http2);
    }
    if revision.ready_pods == 0 {
        reasons.push(Reason::NoPods);
    }
    match revision.excess_burst_capacity {
        Some(0..) => {}
        Some(short) => reasons.push(Reason::BurstCapacity(short)),
        None => reasons.push(Reason::NotScaled),
    }
}
