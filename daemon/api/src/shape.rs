// SPDX-License-Identifier: Apache-2.0
//! The shapes of JSON objects as Go's structs give them: what is read, what is written, what is refused.
//!
//! Problem: Knative's webhook decodes an object into structs and writes it again. Wrong types are refused, unknown fields
//! are lost, some empty values vanish and others appear; users see all of this.
//! Mechanism: tables of fields (`pod`, `objects`), one walk over a value with its table (`decode`).
//! Invariants: what was written decodes to itself; no input panics.
//! Depends on: logic (amounts, URLs).

pub mod decode;
pub mod objects;
mod pod;

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A boolean.
    Flag,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// A text.
    Text,
    /// A URL; written as Go prints it.
    Url,
    /// An amount of a resource; written in its canonical form.
    Amount,
    /// A number of 32 bits or a text.
    IntOrText,
    /// A point in time, RFC 3339.
    Time,
    /// Anything, kept as it is.
    Any,
    /// A list.
    List(&'static Shape),
    /// Values by name.
    Map(&'static Shape),
    /// A struct.
    Record(&'static Record),
}

/// When a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Unless it is empty; a struct always.
    UnlessEmpty,
    /// Always, an absent one as its zero value.
    Always,
    /// When it was there, even if empty.
    WhenSet,
}

/// A struct.
#[derive(Debug)]
pub struct Record {
    /// Go's name of the struct, for the text of errors.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// Structs whose fields stand among its own.
    pub inlined: &'static [&'static Record],
}

/// A field of a struct.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub key: &'static str,
    /// What it may be.
    pub shape: Shape,
    /// When it is written.
    pub presence: Presence,
}

impl Record {
    /// The field of that name, or else the one whose name differs only in case, as Go finds it.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.find(&|name| name == key)
            .or_else(|| self.find(&|name| name.eq_ignore_ascii_case(key)))
    }

    /// Every field, inlined ones too.
    pub fn all_fields(&self) -> Box<dyn Iterator<Item = &'static Field>> {
        let inlined = self.inlined.iter().flat_map(|record| record.all_fields());
        Box::new(self.fields.iter().chain(inlined))
    }

    fn find(&self, wanted: &dyn Fn(&str) -> bool) -> Option<&'static Field> {
        let own = self.fields.iter().find(|field| wanted(field.key));
        own.or_else(|| self.inlined.iter().find_map(|record| record.find(wanted)))
    }
}

impl Field {
    const fn new(key: &'static str, shape: Shape) -> Self {
        Self {
            key,
            shape,
            presence: Presence::UnlessEmpty,
        }
    }

    const fn always(mut self) -> Self {
        self.presence = Presence::Always;
        self
    }

    const fn when_set(mut self) -> Self {
        self.presence = Presence::WhenSet;
        self
    }
}

const fn record(name: &'static str, fields: &'static [Field]) -> Record {
    Record {
        name,
        fields,
        inlined: &[],
    }
}

const fn text(key: &'static str) -> Field {
    Field::new(key, Shape::Text)
}

const fn url(key: &'static str) -> Field {
    Field::new(key, Shape::Url)
}

const fn flag(key: &'static str) -> Field {
    Field::new(key, Shape::Flag)
}

const fn int32(key: &'static str) -> Field {
    Field::new(key, Shape::Int32)
}

const fn int64(key: &'static str) -> Field {
    Field::new(key, Shape::Int64)
}

const fn any(key: &'static str) -> Field {
    Field::new(key, Shape::Any)
}

const fn port(key: &'static str) -> Field {
    Field::new(key, Shape::IntOrText)
}

const fn time(key: &'static str) -> Field {
    Field::new(key, Shape::Time)
}

const fn amount(key: &'static str) -> Field {
    Field::new(key, Shape::Amount)
}

const fn amounts(key: &'static str) -> Field {
    Field::new(key, Shape::Map(&Shape::Amount))
}

const fn texts(key: &'static str) -> Field {
    Field::new(key, Shape::List(&Shape::Text))
}

const fn text_map(key: &'static str) -> Field {
    Field::new(key, Shape::Map(&Shape::Text))
}

const fn list(key: &'static str, of: &'static Shape) -> Field {
    Field::new(key, Shape::List(of))
}

/// A struct that is part of its parent: always written.
const fn part(key: &'static str, of: &'static Record) -> Field {
    Field::new(key, Shape::Record(of))
}

/// A pointer to a struct.
const fn pointer(key: &'static str, of: &'static Record) -> Field {
    part(key, of).when_set()
}
