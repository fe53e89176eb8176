// SPDX-License-Identifier: Apache-2.0
//! The pods by number: small, the same as long as the pod is known, then used again.
//!
//! Depends on: pod, terms.

use super::pod::{Belief, Pod};
use crate::limiter::terms::{Home, PodId};
use std::collections::HashMap;

/// Every pod that is listed or has something in use.
#[derive(Debug, Default)]
pub(super) struct Known {
    pods: Vec<Option<Pod>>,
    vacant: Vec<u32>,
    by_id: HashMap<PodId, u32>,
}

impl Known {
    pub(super) fn get(&self, number: u32) -> Option<&Pod> {
        self.pods.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Pod> {
        self.pods.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn number_of(&self, id: PodId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pod> {
        self.pods.iter_mut().flatten()
    }

    /// All numbers are below this one.
    pub(super) fn end(&self) -> u32 {
        self.pods.len() as u32
    }

    /// The number of this pod, known already or from now on. One that moved is no longer what its last home said.
    pub(super) fn know(&mut self, id: PodId, home: Home) -> u32 {
        if let Some(number) = self.number_of(id) {
            if let Some(pod) = self.get_mut(number)
                && pod.home != home
            {
                pod.home = home;
                pod.belief = Belief::Open;
                pod.declined = 0;
            }
            return number;
        }
        let number = self.vacant.pop().unwrap_or(self.end());
        let pod = Some(Pod::new(id, home));
        match self.pods.get_mut(number as usize) {
            Some(entry) => *entry = pod,
            None => self.pods.push(pod),
        }
        self.by_id.insert(id, number);
        number
    }

    pub(super) fn forget(&mut self, number: u32) {
        if let Some(pod) = self.pods.get_mut(number as usize).and_then(Option::take) {
            self.by_id.remove(&pod.id);
            self.vacant.push(number);
        }
    }
}
