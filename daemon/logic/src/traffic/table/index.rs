// SPDX-License-Identifier: Apache-2.0
//! An index over the path rules of one host: the first that matches, without trying each.
//!
//! Mechanism: a rule is filed under its prefix and the value of its first "equals" condition. Rules whose prefixes have one
//! length, and whose conditions look at one place, share a shape; a look-up makes one probe a shape. A host with
//! thousands of paths or tags has few shapes.
//! Invariants: the index only proposes, the caller's `is_match` decides: equal hashes cost time, never a wrong answer.
//! Depends on: rule, condition, host.

use super::rule::{PathRule, Request};
use crate::traffic::condition::{Source, Wanted};
use crate::traffic::host::{Hashed, Key};
use std::collections::HashMap;

/// How rules are filed.
#[derive(Debug, PartialEq, Eq, Hash, Clone)]
struct Shape {
    /// Bytes of the prefix.
    prefix: usize,
    /// Where the first "equals" condition looks.
    source: Option<Source>,
}

#[derive(Debug)]
pub(super) struct Index {
    shapes: Vec<Shape>,
    /// Places of rules, ascending.
    filed: HashMap<u64, Vec<usize>, Hashed>,
    key: Key,
}

impl Index {
    pub(super) fn over<'a, D: 'a>(rules: impl Iterator<Item = &'a PathRule<D>>) -> Self {
        let mut known = HashMap::new();
        let mut index = Self {
            shapes: Vec::new(),
            filed: HashMap::default(),
            key: Key::random(),
        };
        for (place, rule) in rules.enumerate() {
            let equals = rule.conditions.iter().find_map(|condition| match condition.wanted() {
                Wanted::Exactly(value) => Some((condition.source().clone(), &**value)),
                Wanted::Present => None,
            });
            let value = equals.as_ref().map_or(&b""[..], |(_, value)| value);
            let shape = Shape {
                prefix: rule.prefix.len(),
                source: equals.as_ref().map(|(source, _)| source.clone()),
            };
            let number = *known.entry(shape.clone()).or_insert_with(|| {
                index.shapes.push(shape);
                index.shapes.len() - 1
            });
            let key = index.key(number, rule.prefix.as_bytes(), value);
            index.filed.entry(key).or_default().push(place);
        }
        index
    }

    /// The lowest place that matches.
    pub(super) fn first(&self, request: &Request<'_>, is_match: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut first = None;
        for (number, shape) in self.shapes.iter().enumerate() {
            let Some(prefix) = request.path.as_bytes().get(..shape.prefix) else {
                continue;
            };
            let mut probe = |value: &[u8]| {
                let filed = self.filed.get(&self.key(number, prefix, value));
                let better = |place: &usize| first.is_none_or(|found| *place < found);
                let found = filed
                    .into_iter()
                    .flatten()
                    .copied()
                    .take_while(better)
                    .find(|place| is_match(*place));
                first = found.or(first);
                false
            };
            match &shape.source {
                None => probe(b""),
                Some(source) => source.any(request.headers, &mut probe),
            };
        }
        first
    }

    fn key(&self, shape: usize, prefix: &[u8], value: &[u8]) -> u64 {
        self.key.hash_bytes(self.key.hash_bytes(shape as u64, prefix), value)
    }
}
