// SPDX-License-Identifier: Apache-2.0
//! A consistent choice of some members of a set: the same for everyone who asks, and little moved when the set changes
//! (data-plane spec 2.5).
//!
//! Mechanism: each member has a place on a circle by its hash; the chosen ones are those found at even steps from a start
//! that the key gives.
//! Depends on: nothing.

use std::collections::BTreeSet;

/// Places on the circle.
const UNIVERSE: usize = 2048;

/// `count` of `members`, sorted; all of them if there are no more than that.
pub fn choose_subset<T: AsRef<str>>(members: &[T], count: usize, key: &str) -> Vec<String> {
    let members: BTreeSet<&str> = members.iter().map(AsRef::as_ref).collect();
    if count >= members.len() {
        return members.into_iter().map(str::to_owned).collect();
    }
    // Knative never ends when the members outnumber the places; more places keep the choice defined.
    let universe = match members.len() {
        few if few <= UNIVERSE => UNIVERSE,
        many => many.saturating_mul(2),
    };
    let circle = places(&members, key, universe);
    let start = place(&[key, "start-angle-salt"].concat(), universe);
    let step = place(&[key, "step-angle-salt"].concat(), universe);
    let mut chosen = vec![false; circle.len()];
    let mut angle = start;
    for _ in 0..count {
        let first = circle.partition_point(|(at, _)| *at < angle);
        let next = (first..circle.len()).chain(0..first);
        if let Some(index) = { next }.find(|index| chosen.get(*index) == Some(&false))
            && let Some(mark) = chosen.get_mut(index)
        {
            *mark = true;
        }
        angle = (angle + step) % universe;
    }
    let picked: BTreeSet<_> = { circle.iter().zip(chosen) }
        .filter(|(_, chosen)| *chosen)
        .map(|((_, member), _)| (*member).to_owned())
        .collect();
    picked.into_iter().collect()
}

/// Each member's place, by place.
fn places<'a>(members: &BTreeSet<&'a str>, key: &str, universe: usize) -> Vec<(usize, &'a str)> {
    let mut taken = vec![None; universe];
    for member in members {
        let mut text = [member, key].concat();
        loop {
            let hash = fnv1a(&text);
            match taken.get_mut(hash_place(hash, universe)) {
                Some(free @ None) => {
                    *free = Some(*member);
                    break;
                }
                _ => text.push_str(&format!("{hash:x}")),
            }
        }
    }
    let placed = taken.into_iter().enumerate();
    placed.filter_map(|(at, member)| Some((at, member?))).collect()
}

fn place(text: &str, universe: usize) -> usize {
    hash_place(fnv1a(text), universe)
}

fn hash_place(hash: u64, universe: usize) -> usize {
    (hash % universe as u64) as usize
}

/// FNV-1a, 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_those_of_the_specification() {
        let members: Vec<_> = (1..=5).map(|last| format!("10.0.0.{last}")).collect();
        assert_eq!(choose_subset(&members, 2, "hello-00001"), ["10.0.0.4", "10.0.0.5"]);
        assert_eq!(
            choose_subset(&members, 3, "world-00007"),
            ["10.0.0.1", "10.0.0.3", "10.0.0.5"]
        );
    }

    #[test]
    fn more_members_than_places_are_still_chosen_from() {
        let members: Vec<_> = (0..5000).map(|number| number.to_string()).collect();
        assert_eq!(choose_subset(&members, 3000, "key").len(), 3000);
    }
}
