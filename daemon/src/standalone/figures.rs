// SPDX-License-Identifier: Apache-2.0
//! The data plane's part of `/metrics`, by revision.
//!
//! Depends on: figures, node, proxy, life (metrics).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use control::key::Key;
use life::metrics::{Page, Source};
use proxy::{Revision, Room};

use crate::figures::{self, OfNode};
use crate::node::Node;

/// Whoever has requests.
pub(super) struct Figures {
    node: Arc<Node>,
    room: Room,
    revisions: Mutex<BTreeMap<Key, Arc<Revision>>>,
}

impl Figures {
    pub(super) fn new(node: Arc<Node>, room: Room) -> Arc<Self> {
        let revisions = Mutex::default();
        Arc::new(Self { node, room, revisions })
    }

    /// Tells of it from now on.
    pub(super) fn insert(&self, key: &Key, revision: &Arc<Revision>) {
        let mut revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        revisions.insert(key.clone(), Arc::clone(revision));
    }

    /// Tells of it no more.
    pub(super) fn remove(&self, key: &Key) {
        self.revisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

impl Source for Figures {
    fn write(&self, page: &mut Page) {
        let revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut of_node = OfNode::default();
        for (key, revision) in revisions {
            let name = key.to_string();
            let (load, way) = (self.node.reading(&name), self.node.way(&name));
            load.iter().for_each(|load| of_node.add(load));
            figures::of_revision(page, &revision, load.as_ref(), way.as_ref());
        }
        of_node.tell(page, self.node.obstacle().is_none());
        figures::of_room(page, &self.room);
    }
}
