// SPDX-License-Identifier: Apache-2.0
//! `printf` in templates, as Go's fmt prints.
//!
//! Invariants: widths and precisions are bounded; a verb that does not fit its value is said in the text, as in Go.
//! Depends on: value.

use super::value::Value;
use crate::go::print;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// How wide and how precise at most.
const MOST: usize = 1000;
/// The same, as a number of Go.
const SIZES: i64 = 1000;

/// The text of a format, the first argument, over the others.
pub(super) fn formatted(arguments: &[Value]) -> Result<String, String> {
    let (format, values) = match arguments.split_first() {
        Some((Value::Text(format), values)) => (format, values),
        _ => return Err("printf needs a format text".to_owned()),
    };
    let mut values = Values {
        all: values,
        next: 0,
        is_reordered: false,
        is_wrong: false,
    };
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        values.is_wrong = false;
        let verb = Verb::read(&mut chars, &mut values, &mut out);
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) if values.is_wrong => out.push_str(&format!("%!{letter}(BADINDEX)")),
            Some(letter) => match values.next() {
                None => out.push_str(&format!("%!{letter}(MISSING)")),
                Some(value) => out.push_str(&verb.of(letter).shown(letter, value)?),
            },
        }
    }
    let extra = values.all.get(values.next..).unwrap_or_default();
    if !values.is_reordered && !extra.is_empty() {
        let extra: Result<Vec<_>, _> = extra.iter().map(|value| Verb::default().described(value)).collect();
        out.push_str(&format!("%!(EXTRA {})", extra?.join(", ")));
    }
    Ok(out)
}

/// The values that are not printed yet.
struct Values<'a> {
    all: &'a [Value],
    next: usize,
    /// Whether one was chosen by its number.
    is_reordered: bool,
    /// Whether this verb chose one that is not there.
    is_wrong: bool,
}

impl<'a> Values<'a> {
    fn next(&mut self) -> Option<&'a Value> {
        let value = self.all.get(self.next)?;
        self.next += 1;
        Some(value)
    }

    /// `[2]`: the second is the next.
    fn choose(&mut self, chars: &mut Peekable<Chars<'_>>) {
        if chars.next_if_eq(&'[').is_none() {
            return;
        }
        self.is_reordered = true;
        let number = digits(chars);
        if chars.next_if_eq(&']').is_none() {
            self.is_wrong = true;
            return;
        }
        match number.and_then(|number| number.checked_sub(1)) {
            Some(next) if next < self.all.len() => self.next = next,
            _ => self.is_wrong = true,
        }
    }

    /// The value of a `*`.
    fn size(&mut self) -> Option<i64> {
        match self.next() {
            Some(Value::Integer(size)) if (-SIZES..=SIZES).contains(size) => Some(*size),
            _ => None,
        }
    }
}

/// What stands between `%` and the letter, such as `-5.3`.
#[derive(Clone, Copy, Debug, Default)]
struct Verb {
    is_left: bool,
    has_zeros: bool,
    has_plus: bool,
    has_space: bool,
    is_sharp: bool,
    /// `%+v`
    has_names: bool,
    width: usize,
    precision: Option<usize>,
}

impl Verb {
    /// What is wrong with a size goes to `out`.
    fn read(chars: &mut Peekable<Chars<'_>>, values: &mut Values<'_>, out: &mut String) -> Self {
        let mut verb = Self::default();
        while let Some(flag) = chars.next_if(|char| "-0+# ".contains(*char)) {
            match flag {
                '-' => verb.is_left = true,
                '0' => verb.has_zeros = true,
                '+' => verb.has_plus = true,
                '#' => verb.is_sharp = true,
                _ => verb.has_space = true,
            }
        }
        values.choose(chars);
        if chars.next_if_eq(&'*').is_some() {
            match values.size() {
                Some(width) => {
                    verb.is_left |= width < 0;
                    verb.width = usize::try_from(width.unsigned_abs()).unwrap_or(MOST);
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
        } else {
            verb.width = digits(chars).unwrap_or(0);
        }
        if chars.next_if_eq(&'.').is_some() {
            values.choose(chars);
            verb.precision = Some(digits(chars).unwrap_or(0));
            if chars.next_if_eq(&'*').is_some() {
                verb.precision = values.size().and_then(|size| usize::try_from(size).ok());
                if verb.precision.is_none() {
                    out.push_str("%!(BADPREC)");
                }
            }
        }
        values.choose(chars);
        verb.has_zeros &= !verb.is_left;
        verb
    }

    /// The plus of `%+v` asks for names, not for signs.
    fn of(mut self, letter: char) -> Self {
        if letter == 'v' {
            self.has_names = std::mem::take(&mut self.has_plus);
        }
        self
    }

    fn shown(&self, letter: char, value: &Value) -> Result<String, String> {
        if letter == 'v' && self.is_sharp {
            return Err("the verb %#v is not understood by Sluice".to_owned());
        }
        let inner = |value: &Value| self.shown(letter, value);
        let text = |text: &str| self.text(letter, text);
        match value {
            _ if letter == 'T' => Ok(self.padded(type_name(value))),
            Value::Missing if letter == 'v' => Ok(self.padded("<nil>")),
            Value::Bool(value) if matches!(letter, 't' | 'v') => Ok(self.padded(&value.to_string())),
            Value::Integer(number) => self
                .integer(letter, *number)
                .map_or_else(|| self.misfit(letter, value), Ok),
            Value::Float(_) if matches!(letter, 'b' | 'x' | 'X') => {
                Err(format!("the verb %{letter} of a float64 is not understood by Sluice"))
            }
            Value::Float(number) => self
                .float(letter, *number)
                .map_or_else(|| self.misfit(letter, value), Ok),
            Value::Text(written) => text(written).map_or_else(|| self.misfit(letter, value), Ok),
            Value::Missing | Value::Bool(_) => self.misfit(letter, value),
            Value::List(list) => bracketed("[", list.iter().map(inner), "]"),
            Value::Map(map) => bracketed(
                "map[",
                map.iter().map(|(key, value)| {
                    Ok(format!(
                        "{}:{}",
                        inner(&key.as_str().into())?,
                        inner(&value.as_str().into())?
                    ))
                }),
                "]",
            ),
            Value::Shown(text, _) => inner(&text.as_str().into()),
            Value::Header(map) | Value::Query(map) => bracketed(
                "map[",
                map.iter().map(|(name, values)| {
                    let values = bracketed("[", values.iter().map(|value| inner(&value.as_str().into())), "]")?;
                    Ok(format!("{}:{values}", inner(&name.as_str().into())?))
                }),
                "]",
            ),
            Value::Record(record) => bracketed(
                "{",
                record.fields.iter().map(|(name, value)| {
                    let name = if self.has_names {
                        format!("{name}:")
                    } else {
                        String::new()
                    };
                    Ok(name + &inner(value)?)
                }),
                "}",
            ),
        }
    }

    /// `string=x`
    fn described(&self, value: &Value) -> Result<String, String> {
        match value {
            Value::Missing => Ok("<nil>".to_owned()),
            _ => Ok(format!("{}={}", value.type_name(), self.shown('v', value)?)),
        }
    }

    fn misfit(&self, letter: char, value: &Value) -> Result<String, String> {
        Ok(format!("%!{letter}({})", self.described(value)?))
    }

    fn text(&self, letter: char, text: &str) -> Option<String> {
        let most = self.precision.unwrap_or(usize::MAX);
        let cut: String = text.chars().take(most).collect();
        let is_raw = |text: &str| {
            text.chars()
                .all(|char| char != '`' && (char == '\t' || print::is_printable(char)))
        };
        Some(match letter {
            's' | 'v' => self.padded(&cut),
            'q' if self.is_sharp && is_raw(&cut) => self.padded(&format!("`{cut}`")),
            'q' => self.padded(&print::quoted(&cut)),
            'x' | 'X' => self.padded(&self.bytes(letter, text.as_bytes().get(..most).unwrap_or(text.as_bytes()))),
            _ => return None,
        })
    }

    /// The bytes in base 16.
    fn bytes(&self, letter: char, bytes: &[u8]) -> String {
        let mut out = String::with_capacity(bytes.len() * 2);
        for (index, byte) in bytes.iter().enumerate() {
            if self.has_space && index > 0 {
                out.push(' ');
            }
            if self.is_sharp && (self.has_space || index == 0) {
                out.extend(['0', letter]);
            }
            // Writing to a String cannot fail.
            let _ = if letter == 'X' {
                write!(out, "{byte:02X}")
            } else {
                write!(out, "{byte:02x}")
            };
        }
        out
    }

    fn integer(&self, letter: char, number: i64) -> Option<String> {
        let magnitude = number.unsigned_abs();
        let char = || {
            u32::try_from(number)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}')
        };
        let (digits, prefix) = match letter {
            'd' | 'v' => (magnitude.to_string(), ""),
            'b' => (format!("{magnitude:b}"), "0b"),
            'o' => (format!("{magnitude:o}"), "0"),
            'O' => (format!("{magnitude:o}"), "0o"),
            'x' => (format!("{magnitude:x}"), "0x"),
            'X' => (format!("{magnitude:X}"), "0X"),
            'c' => return Some(self.padded(&char().to_string())),
            'q' => return Some(self.padded(&print::quoted_char(char()))),
            'U' => return Some(self.without_zeros().padded(&self.code_point(number, char()))),
            _ => return None,
        };
        if self.precision == Some(0) && number == 0 {
            return Some(" ".repeat(self.width));
        }
        let sign = match (number < 0, self.has_plus, self.has_space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        let least = match self.precision {
            Some(precision) => precision,
            None if self.has_zeros => self.width.saturating_sub(sign.len()),
            None => 0,
        };
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        let prefix = match letter {
            'O' => prefix,
            'o' if zeros.is_empty() && !digits.starts_with('0') && self.is_sharp => prefix,
            'o' => "",
            _ if self.is_sharp => prefix,
            _ => "",
        };
        Some(self.without_zeros().padded(&format!("{sign}{prefix}{zeros}{digits}")))
    }

    /// `U+0041`, with `#` also the character.
    fn code_point(&self, number: i64, char: char) -> String {
        let least = self.precision.unwrap_or(4).max(4);
        match self.is_sharp && print::is_printable(char) {
            true => format!("U+{number:0least$X} '{char}'"),
            false => format!("U+{number:0least$X}"),
        }
    }

    fn float(&self, letter: char, number: f64) -> Option<String> {
        let text = match letter {
            _ if !matches!(letter, 'v' | 'g' | 'G' | 'e' | 'E' | 'f' | 'F') => return None,
            _ if number.is_nan() => "NaN".to_owned(),
            _ if number.is_infinite() => "Inf".to_owned(),
            'f' | 'F' => format!("{:.*}", self.precision.unwrap_or(6), number.abs()),
            'e' | 'E' => print::with_exponent(number.abs(), self.precision.unwrap_or(6)),
            _ => print::general(number.abs(), self.precision),
        };
        let text = if letter.is_ascii_uppercase() && number.is_finite() {
            text.to_ascii_uppercase()
        } else {
            text
        };
        let sign = match (
            number.is_sign_negative() && !number.is_nan(),
            self.has_plus,
            self.has_space,
        ) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ if number.is_infinite() => "+",
            _ => "",
        };
        if !number.is_finite() || !self.has_zeros {
            return Some(self.without_zeros().padded(&format!("{sign}{text}")));
        }
        let zeros = "0".repeat(self.width.saturating_sub(sign.len() + text.len()));
        Some(format!("{sign}{zeros}{text}"))
    }

    fn without_zeros(&self) -> Self {
        Self {
            has_zeros: false,
            ..*self
        }
    }

    fn padded(&self, text: &str) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        match (self.is_left, self.has_zeros) {
            (true, _) => format!("{text}{}", " ".repeat(missing)),
            (false, true) => format!("{}{text}", "0".repeat(missing)),
            (false, false) => format!("{}{text}", " ".repeat(missing)),
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Missing => "<nil>",
        _ => value.type_name(),
    }
}

fn bracketed(open: &str, values: impl Iterator<Item = Result<String, String>>, close: &str) -> Result<String, String> {
    let values: Vec<_> = values.collect::<Result<_, _>>()?;
    Ok(format!("{open}{}{close}", values.join(" ")))
}

fn digits(chars: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut value = None;
    while let Some(digit) = chars.peek().and_then(|char| char.to_digit(10)) {
        chars.next();
        value = Some((value.unwrap_or(0) * 10 + digit as usize).min(MOST));
    }
    value
}
