// SPDX-License-Identifier: Apache-2.0
//! Which pod is next (data-plane spec 3.4, design 4.1).
//!
//! Mechanism: any concurrency: of two random pods the less busy one; 1 to 3: the first with room; more: in turn, the slice
//! before the rest.
//! Invariants: what is picked has room; no pod is picked while none has.
//! Depends on: pods (their order and room), random.

use super::Pods;
use super::pod::Pod;
use crate::limiter::random::Random;
use std::cmp::Ordering;
use std::ops::Range;

/// Up to this concurrency the first pod with room is taken (data-plane spec 3.4).
const FIRST_FREE: u32 = 3;

impl Pods {
    /// The pod for the next request, if any has room.
    pub(in crate::limiter) fn pick(&mut self, random: &mut Random) -> Option<u32> {
        if self.shared.is_some() {
            return self.shared;
        }
        let position = match self.concurrency {
            0 => self.less_busy_of_two(random),
            concurrency if concurrency <= FIRST_FREE => self.room.first_in(0..self.order.len()),
            _ => { self.in_turn(0, 0..self.assigned) }.or_else(|| self.in_turn(1, self.assigned..self.order.len())),
        }?;
        self.order.get(position).copied()
    }

    fn less_busy_of_two(&self, random: &mut Random) -> Option<usize> {
        let len = self.order.len();
        if len < 2 {
            return (len == 1).then_some(0);
        }
        let one = random.below(len);
        let other = random.below(len - 1);
        let other = if other >= one { other + 1 } else { other };
        let busyness = |position: usize| {
            self.order
                .get(position)
                .and_then(|number| self.known.get(*number))
                .map(Pod::busyness)
        };
        Some(match busyness(one).cmp(&busyness(other)) {
            Ordering::Less => one,
            Ordering::Greater => other,
            Ordering::Equal if random.coin() => one,
            Ordering::Equal => other,
        })
    }

    fn in_turn(&mut self, turn: usize, range: Range<usize>) -> Option<usize> {
        let turn = self.turns.get_mut(turn)?;
        // A list that has become shorter begins anew, whether there is room or not.
        if *turn >= range.len() {
            *turn = 0;
        }
        let start = range.start + *turn;
        let found = { self.room.first_in(start..range.end) }.or_else(|| self.room.first_in(range.start..start))?;
        *turn = found + 1 - range.start;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limiter::terms::{Activators, Home, PodId, PodSpec};

    fn list(pods: &mut Pods, ids: Range<u64>) {
        let specs: Vec<_> = ids
            .map(|id| PodSpec {
                id: PodId(id),
                home: Home::Here,
                accepting: true,
            })
            .collect();
        pods.list(&specs, Activators::default());
    }

    #[test]
    fn a_turn_begins_anew_once_a_shorter_list_was_looked_through() {
        let (mut pods, mut random) = (Pods::new(10, false), Random::new(0));
        list(&mut pods, 0..3);
        let first = pods.pick(&mut random);
        list(&mut pods, 0..0);
        assert_eq!(pods.pick(&mut random), None);
        list(&mut pods, 0..3);
        let again = pods.pick(&mut random).and_then(|number| pods.known.get(number));
        assert_eq!(first, Some(0));
        assert_eq!(again.map(|pod| pod.id), Some(PodId(0)));
    }
}
