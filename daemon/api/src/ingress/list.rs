// SPDX-License-Identifier: Apache-2.0
//! A list that is always written: control-plane spec 5.3.
//!
//! Problem: Go writes a list that was never given as `null` and an empty one as `[]`, and the text of an Ingress is hashed.
//! Mechanism: a list that remembers whether it was given; reading `null` or nothing makes one that was not.
//! Invariants: both kinds of empty list are equal, and have no items.
//! Depends on: serde.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

/// A list that is written as `null` where it was never given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct List<T>(Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self(Some(items))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(Some(items.into_iter().collect()))
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut List<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_empty_stays_so() {
        for text in ["null", "[]", "[1]"] {
            let list: List<u8> = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&list).unwrap(), text);
        }
    }

    #[test]
    fn empty_is_empty() {
        assert_eq!(List::<u8>::default(), List::from(Vec::new()));
    }
}
