// SPDX-License-Identifier: Apache-2.0
//! What a container wrote, for `kubectl logs`: the seam between who serves the API and who runs pods.
//!
//! Invariants: a stream is bounded by what its reader takes; it ends when there is no more to come, or when the reader
//! drops it.
//! Depends on: refusal.

use bytes::Bytes;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::mpsc;

use crate::refusal::Refusal;

/// Which part of the logs is wanted: the query of `GET …/pods/NAME/log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `container`; may be absent where the pod has only one.
    pub container: Option<String>,
    /// `follow`: goes on until the container has ended.
    pub follow: bool,
    /// `previous`: of the run before the last restart.
    pub previous: bool,
    /// `timestamps`: each line begins with its time.
    pub timestamps: bool,
    /// `sinceTime`, or now less `sinceSeconds`.
    pub since: Option<Timestamp>,
    /// `tailLines`: so many of the last lines.
    pub tail_lines: Option<usize>,
    /// `limitBytes`: so many bytes at most.
    pub limit_bytes: Option<usize>,
}

/// Who has the logs of pods.
pub trait Logs: Send + Sync + std::fmt::Debug {
    /// The wanted part of a pod's logs, in pieces as they come.
    ///
    /// # Errors
    /// 404 if there is no such pod; 400 if the container is not named where there are several, is not one of the pod's,
    /// or has not run yet.
    fn read(&self, namespace: &str, pod: &str, wanted: &Wanted) -> Result<mpsc::Receiver<Bytes>, Refusal>;
}
