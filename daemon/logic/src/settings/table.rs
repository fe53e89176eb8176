// SPDX-License-Identifier: Apache-2.0
//! The key tables: which key of a ConfigMap is read how, and which checks follow.
//!
//! Mechanism: a map is a list of `Key` rows (a spelling, a reader, the field it goes to) and of `Check` rows (the keys they
//! look at, what is wrong). `Reading` runs them in order and collects every problem.
//! Invariants: rows run in Knative's order, so the first problem is Knative's; a check that looks at a key which could not
//! be read is left out; a later row wins over an earlier one, so an old spelling stands before the current one.
//! Depends on: go, problem, quantity.

use super::problem::{Problem, Problems};
use crate::go::number;
use crate::go::print::quoted;
use crate::go::span::Span;
use crate::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// The `data` of a ConfigMap.
pub type Data = BTreeMap<String, String>;

type Field<S, T> = fn(&mut S) -> &mut T;

/// How the text of a key is read, and where it goes.
pub(super) enum Reader<S> {
    /// Spaces around it are dropped.
    Text(Field<S, String>),
    Bool(Field<S, bool>),
    Float(Field<S, f64>),
    Int32(Field<S, i32>),
    Int64(Field<S, i64>),
    Uint32(Field<S, u32>),
    Span(Field<S, Span>),
    Quantity(Field<S, Option<Quantity>>),
    /// Separated by commas; spaces around each are dropped.
    Set(Field<S, BTreeSet<String>>),
    /// Reads the text itself; its error is complete.
    Own(fn(&mut S, &str) -> Result<(), String>),
    /// Reads the whole map, also when the key is absent; its error is complete.
    Whole(fn(&mut S, &Data) -> Result<(), String>),
    /// Some `Whole` row reads it.
    Elsewhere,
}

/// One spelling of one key.
pub(super) struct Key<S> {
    spelling: &'static str,
    /// The current spelling.
    name: &'static str,
    reader: Reader<S>,
}

/// The row of a key.
pub(super) const fn key<S>(name: &'static str, reader: Reader<S>) -> Key<S> {
    Key {
        spelling: name,
        name,
        reader,
    }
}

/// The row of an old spelling of the key `name`.
pub(super) const fn old<S>(spelling: &'static str, name: &'static str, reader: Reader<S>) -> Key<S> {
    Key { spelling, name, reader }
}

/// A rule over settings that could be read.
pub(super) struct Check<S> {
    /// The keys it looks at; a problem is reported at the first.
    keys: &'static [&'static str],
    problem: fn(&S) -> Option<String>,
}

/// The row of a rule.
pub(super) const fn check<S>(keys: &'static [&'static str], problem: fn(&S) -> Option<String>) -> Check<S> {
    Check { keys, problem }
}

/// A ConfigMap being read.
pub(super) struct Reading<'a> {
    data: &'a Data,
    /// What Knative puts before the error of a reader.
    prefix: &'static str,
    problems: Vec<Problem>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(data: &'a Data) -> Self {
        Self::with_prefix(data, "")
    }

    pub(super) fn with_prefix(data: &'a Data, prefix: &'static str) -> Self {
        Self {
            data,
            prefix,
            problems: Vec::new(),
        }
    }

    /// Reads the keys of these rows, in their order.
    pub(super) fn read<S>(&mut self, keys: &[Key<S>], settings: &mut S) {
        for key in keys {
            let outcome = match (&key.reader, self.data.get(key.spelling)) {
                (Reader::Whole(read), _) => read(settings, self.data),
                (Reader::Own(read), Some(text)) => read(settings, text),
                (reader, Some(text)) => {
                    plain(reader, text, settings).map_err(|error| self.unreadable(key.spelling, &error))
                }
                (_, None) => Ok(()),
            };
            if let Err(text) = outcome {
                self.add(key.name, text);
            }
        }
    }

    /// Runs the rules whose keys could be read.
    pub(super) fn check<S>(&mut self, checks: &[Check<S>], settings: &S) {
        for check in checks {
            let is_readable = check.keys.iter().all(|key| self.is_good(key));
            if let Some(text) = is_readable.then(|| (check.problem)(settings)).flatten() {
                self.add(check.keys.first().copied().unwrap_or_default(), text);
            }
        }
    }

    pub(super) fn add(&mut self, key: &str, text: String) {
        self.problems.push(Problem {
            key: key.to_owned(),
            text,
        });
    }

    /// The settings, if nothing was wrong.
    pub(super) fn finish<S>(self, settings: S) -> Result<S, Problems> {
        match Problems::of(self.problems) {
            None => Ok(settings),
            Some(problems) => Err(problems),
        }
    }

    fn is_good(&self, key: &str) -> bool {
        self.problems.iter().all(|problem| problem.key != key)
    }

    fn unreadable(&self, spelling: &str, error: &str) -> String {
        format!("{}failed to parse {}: {error}", self.prefix, quoted(spelling))
    }
}

/// The readers of a single value; the error is that of its parser.
fn plain<S>(reader: &Reader<S>, text: &str, settings: &mut S) -> Result<(), String> {
    match reader {
        Reader::Text(field) => put(field(settings), Ok::<_, String>(text.trim().to_owned())),
        Reader::Bool(field) => put(field(settings), number::boolean(text)),
        Reader::Float(field) => put(field(settings), number::float(text)),
        Reader::Int32(field) => put(field(settings), number::int32(text)),
        Reader::Int64(field) => put(field(settings), number::int64(text)),
        Reader::Uint32(field) => put(field(settings), number::uint32(text)),
        Reader::Span(field) => put(field(settings), Span::parse(text)),
        Reader::Quantity(field) => put(field(settings), Quantity::parse(text).map(Some)),
        Reader::Set(field) => put(field(settings), Ok::<_, String>(set(text))),
        Reader::Own(_) | Reader::Whole(_) | Reader::Elsewhere => Ok(()),
    }
}

fn put<T, E: ToString>(field: &mut T, value: Result<T, E>) -> Result<(), String> {
    *field = value.map_err(|error| error.to_string())?;
    Ok(())
}

fn set(text: &str) -> BTreeSet<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// Whether one of the rows has this spelling.
pub(super) fn knows<S>(keys: &[Key<S>], spelling: &str) -> bool {
    keys.iter().any(|key| key.spelling == spelling)
}

/// The keys of the rows, in their current spelling.
pub(super) fn names<S>(keys: &[Key<S>]) -> impl Iterator<Item = &'static str> {
    keys.iter().map(|key| key.name)
}
