// SPDX-License-Identifier: Apache-2.0
//! When a revision whose load jumped is looked at again.
//!
//! Problem: a burst is told when it begins, most of its requests come after that, and a tick sees them two seconds later.
//! Mechanism: after each burst some looks, later each time, until a tick is nearer than the next one would be.
//! Invariants: `now` is an argument; a burst costs a fixed number of looks; a newer burst of a revision takes the place of
//! its older one.
//! Depends on: key.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;

/// The first look after a burst was told. Earlier ones would take the CPU from the pods that it got already.
const FIRST: Duration = Duration::from_millis(25);
/// Each comes twice as late as the one before, up to 800 ms: ticks see whole seconds.
const LOOKS: u32 = 6;

/// The revisions that are looked at again.
#[derive(Debug, Default)]
pub(super) struct Looks {
    by_time: BTreeSet<(Instant, Key)>,
    watched: HashMap<Key, Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    since: Instant,
    looks: u32,
    due: Instant,
}

impl Looks {
    /// The load of this revision has just jumped.
    pub(super) fn begin(&mut self, revision: Key, now: Instant) {
        if let Some(before) = self.watched.remove(&revision) {
            self.by_time.remove(&(before.due, revision.clone()));
        }
        let watched = Watched {
            since: now,
            looks: 0,
            due: now + FIRST,
        };
        self.put(revision, watched);
    }

    /// When somebody is to be looked at next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(due, _)| *due)
    }

    /// Who is to be looked at now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Key> {
        let mut all = Vec::new();
        while self.next().is_some_and(|due| due <= now) {
            let Some((_, revision)) = self.by_time.pop_first() else {
                break;
            };
            if let Some(last) = self.watched.remove(&revision)
                && let Some(next) = last.after(now)
            {
                self.put(revision.clone(), next);
            }
            all.push(revision);
        }
        all
    }

    fn put(&mut self, revision: Key, watched: Watched) {
        self.by_time.insert((watched.due, revision.clone()));
        self.watched.insert(revision, watched);
    }
}

impl Watched {
    /// The next look after one at `now`, counted from the burst; those that should have been meanwhile are left out.
    fn after(self, now: Instant) -> Option<Self> {
        let mut rest = (self.looks + 1..LOOKS).map(|looks| Self {
            looks,
            due: self.since + FIRST * 2_u32.pow(looks),
            ..self
        });
        rest.find(|next| next.due > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    /// When the looks are, in milliseconds since `begun`, if each comes as soon as it is due.
    fn all(looks: &mut Looks, begun: Instant) -> Vec<(u128, String)> {
        let mut all = Vec::new();
        while let Some(due) = looks.next() {
            let names = looks.due(due).into_iter().map(|key| key.name.to_string());
            all.extend(names.map(|name| ((due - begun).as_millis(), name)));
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_looked_at_later_and_later_until_a_tick_sees_it() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        looks.begin(key("a"), now);
        let at: Vec<u128> = all(&mut looks, now).into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, [25, 50, 100, 200, 400, 800]);
        assert!(looks.watched.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_burst_takes_the_place_of_the_older_one_of_its_revision_alone() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        looks.begin(key("a"), now);
        looks.begin(key("b"), now);
        assert_eq!(looks.due(now + FIRST).len(), 2);
        looks.begin(key("a"), now + FIRST);
        let all = all(&mut looks, now);
        let of = |name: &str| -> Vec<u128> {
            let own = all.iter().filter(|(_, whose)| whose == name);
            own.map(|(at, _)| *at).collect()
        };
        assert_eq!(of("a"), [50, 75, 125, 225, 425, 825]);
        assert_eq!(of("b"), [50, 100, 200, 400, 800]);
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_came_late_are_not_made_up_for_one_by_one() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        looks.begin(key("a"), now);
        assert!(looks.due(now).is_empty());
        assert_eq!(looks.due(now + Duration::from_millis(300)).len(), 1);
        assert_eq!(looks.next(), Some(now + Duration::from_millis(400)));
    }
}
