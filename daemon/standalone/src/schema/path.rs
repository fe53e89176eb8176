// SPDX-License-Identifier: Apache-2.0
//! Where in an object a walk is; only what is told of needs it as a text.
//!
//! Depends on: nothing.

use std::fmt;

/// A place in an object.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

impl<'a> Path<'a> {
    pub(super) fn field(above: Option<&'a Path<'a>>, name: &'a str) -> Self {
        Self {
            above,
            step: Step::Field(name),
        }
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self {
            above: Some(self),
            step: Step::Item(index),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(out)?;
        }
        match (self.step, self.above) {
            (Step::Field(name), None) => out.write_str(name),
            (Step::Field(name), Some(_)) => write!(out, ".{name}"),
            (Step::Item(index), _) => write!(out, "[{index}]"),
        }
    }
}
