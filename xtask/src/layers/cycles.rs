// SPDX-License-Identifier: Apache-2.0
//! Module cycles inside a crate.
//!
//! Problem: modules that use each other in a circle can only be understood together.
//! Mechanism: a module and what lies below it are one unit; at every level of the tree, brothers are joined by an arrow
//! when anything below the one names anything below the other, also through a re-export; a circle of arrows is a cycle.
//! Invariants: parent and child are not brothers: a parent may re-export its parts, and these may use its types.
//! Depends on: modules.

use super::modules::{Name, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// Re-exports of re-exports are followed this deep.
const DEPTH: usize = 8;

type Arrows = BTreeMap<Name, BTreeSet<Name>>;

/// Every cycle, as `a → b → a`.
pub(super) fn find(tree: &Tree) -> Vec<String> {
    let arrows = arrows(tree);
    let mut cycles = BTreeSet::new();
    for start in arrows.keys() {
        if let Some(cycle) = circle(&arrows, start) {
            cycles.insert(from_its_least(cycle));
        }
    }
    cycles.into_iter().map(|cycle| shown(&cycle)).collect()
}

fn arrows(tree: &Tree) -> Arrows {
    let mut arrows = Arrows::new();
    for (user, module) in tree {
        for path in &module.paths {
            let used = resolve(tree, user, path, DEPTH);
            if let Some((from, to)) = used.and_then(|used| brothers(user, &used)) {
                arrows.entry(from).or_default().insert(to);
            }
        }
    }
    arrows
}

/// The module that defines what `path`, written in `at`, names; none if that is outside the crate.
fn resolve(tree: &Tree, at: &Name, path: &[String], depth: usize) -> Option<Name> {
    let (mut module, rest) = start(tree, at, path)?;
    for (i, segment) in rest.iter().enumerate() {
        let child: Name = module.iter().chain([segment]).cloned().collect();
        if tree.contains_key(&child) {
            module = child;
            continue;
        }
        return Some(through_import(tree, &module, &rest[i..], depth).unwrap_or(module));
    }
    Some(module)
}

/// The module a path starts at and the segments after that.
fn start<'p>(tree: &Tree, at: &Name, path: &'p [String]) -> Option<(Name, &'p [String])> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some((Name::new(), rest)),
        "self" => Some((at.clone(), rest)),
        "super" => {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            Some((at[..at.len().checked_sub(ups)?].to_vec(), &path[ups..]))
        }
        _ => {
            let child: Name = at.iter().chain([first]).cloned().collect();
            tree.contains_key(&child).then_some((child, rest))
        }
    }
}

/// Follows a name that `module` only brings in.
fn through_import(tree: &Tree, module: &Name, rest: &[String], depth: usize) -> Option<Name> {
    let (name, rest) = rest.split_first()?;
    let found = tree.get(module)?;
    let depth = depth.checked_sub(1)?;
    if found.items.contains(name) {
        return None;
    }
    if let Some(source) = found.imports.get(name) {
        let path: Name = source.iter().chain(rest).cloned().collect();
        return resolve(tree, module, &path, depth);
    }
    let sources = found.globs.iter().filter_map(|glob| resolve(tree, module, glob, depth));
    sources
        .into_iter()
        .find(|source| source != module && tree[source].items.contains(name))
}

/// The two modules of one level that an arrow from `user` to `used` joins; none if one lies below the other.
fn brothers(user: &Name, used: &Name) -> Option<(Name, Name)> {
    let level = user.iter().zip(used).take_while(|(a, b)| a == b).count();
    (level < user.len() && level < used.len()).then(|| (user[..=level].to_vec(), used[..=level].to_vec()))
}

/// A circle through `start`, if there is one: depth first, without a second visit.
fn circle(arrows: &Arrows, start: &Name) -> Option<Vec<Name>> {
    let mut seen = BTreeSet::new();
    let mut way = vec![start.clone()];
    walk(arrows, start, &mut way, &mut seen).then_some(way)
}

fn walk(arrows: &Arrows, start: &Name, way: &mut Vec<Name>, seen: &mut BTreeSet<Name>) -> bool {
    let here = way[way.len() - 1].clone();
    for next in arrows.get(&here).into_iter().flatten() {
        if next == start {
            return true;
        }
        if seen.insert(next.clone()) {
            way.push(next.clone());
            if walk(arrows, start, way, seen) {
                return true;
            }
            way.pop();
        }
    }
    false
}

fn from_its_least(mut cycle: Vec<Name>) -> Vec<Name> {
    let least = cycle
        .iter()
        .enumerate()
        .min_by_key(|(_, name)| *name)
        .map_or(0, |(i, _)| i);
    cycle.rotate_left(least);
    cycle
}

fn shown(cycle: &[Name]) -> String {
    let names = cycle.iter().chain(cycle.first()).map(|name| name.join("::"));
    names.collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use super::super::modules::parse;
    use super::*;

    fn cycles(text: &str) -> Vec<String> {
        find(&parse(text))
    }

    #[test]
    fn brothers_that_use_each_other_are_a_cycle() {
        assert_eq!(
            cycles("mod a { use crate::b::B; } mod b { use super::a::A; }"),
            ["a → b → a"]
        );
    }

    #[test]
    fn a_circle_of_three_is_found_once() {
        let text = "mod a { use crate::b; } mod b { fn f() { crate::c::g(); } } mod c { type T = crate::a::T; }";
        assert_eq!(cycles(text), ["a → b → c → a"]);
    }

    #[test]
    fn one_way_is_no_cycle() {
        assert!(cycles("mod a { use crate::{b, c}; } mod b { use crate::c; } mod c {}").is_empty());
    }

    #[test]
    fn parent_and_child_are_one_unit() {
        assert!(cycles("mod a { mod part { use super::Whole; } pub use part::Part; pub struct Whole; }").is_empty());
    }

    #[test]
    fn parts_below_count_for_the_whole() {
        let text = "mod a { mod part { use crate::b::B; } } mod b { mod part { use crate::a::A; } }";
        assert_eq!(cycles(text), ["a → b → a"]);
    }

    #[test]
    fn a_cycle_of_parts_is_named_by_its_path() {
        let text = "mod a { mod x { use super::y::Y; } mod y { use crate::a::x::X; } }";
        assert_eq!(cycles(text), ["a::x → a::y → a::x"]);
    }

    #[test]
    fn re_exports_hide_nothing() {
        let named = "pub use a::A; mod a { use crate::b::B; pub struct A; } mod b { use crate::A; pub struct B; }";
        assert_eq!(cycles(named), ["a → b → a"]);
        let by_glob = "pub use a::*; mod a { use crate::b::B; pub struct A; } mod b { use crate::A; pub struct B; }";
        assert_eq!(cycles(by_glob), ["a → b → a"]);
    }

    #[test]
    fn macros_hide_nothing() {
        let text = "mod a { fn f() { println!(\"{}\", crate::b::g()); } } mod b { use crate::a::f; }";
        assert_eq!(cycles(text), ["a → b → a"]);
    }

    #[test]
    fn tests_may_look_anywhere() {
        let text = "mod a { #[cfg(test)] mod tests { use crate::b::B; } } mod b { use crate::a::A; }";
        assert!(cycles(text).is_empty());
    }
}
