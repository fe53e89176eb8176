// SPDX-License-Identifier: Apache-2.0
//! Go's text/template, as far as settings use it.
//!
//! Problem: names, hosts and log lines are made by templates that operators wrote for Go.
//! Mechanism: `lex` cuts actions into tokens, `parse` makes nodes of them, `run` renders them over a `Value`.
//! Understood: fields, variables, `if`, `else if`, `else`, `with`, `range`, `break`, `continue`, `end`, `define`, `block`,
//! `template`, pipes, parentheses, literals, comments, trim markers, the functions of `function`, `Get` and `Values` of
//! headers.
//! Invariants: no text and no value panics; nesting and calls are bounded.
//! Depends on: nothing.

mod error;
mod function;
mod lex;
mod parse;
mod printf;
mod run;
mod value;

pub use error::TemplateError;
pub use value::{Record, Value, canonical};

/// A template that was parsed.
#[derive(Clone, Debug)]
pub struct Template {
    name: &'static str,
    text: String,
    parsed: parse::Parsed,
}

impl Template {
    /// Reads `text`; `name` stands in errors.
    ///
    /// # Errors
    /// Not a template, or one with what is not understood here.
    pub fn parse(name: &'static str, text: &str) -> Result<Self, TemplateError> {
        let parsed = parse::parsed(name, text)?;
        Ok(Self {
            name,
            text: text.to_owned(),
            parsed,
        })
    }

    /// A template that is only text.
    #[must_use]
    pub fn literal(name: &'static str, text: &str) -> Self {
        Self {
            name,
            text: text.to_owned(),
            parsed: parse::Parsed {
                nodes: vec![parse::Node::Text(text.to_owned())],
                templates: parse::Templates::new(),
            },
        }
    }

    /// The text over a value.
    ///
    /// # Errors
    /// A field that does not exist, a function that refuses its arguments.
    pub fn render(&self, value: &Value) -> Result<String, TemplateError> {
        run::render(self.name, &self.text, &self.parsed, value)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Template {
    /// By text.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Template {}

#[cfg(test)]
mod tests;
