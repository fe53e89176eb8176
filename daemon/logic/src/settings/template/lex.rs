// SPDX-License-Identifier: Apache-2.0
//! Cuts a template into texts and actions, and actions into tokens.
//!
//! Invariants: positions are bytes in the whole text; trim markers and comments are gone.
//! Depends on: nothing.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// What stands between `{{` and `}}`, and where the action starts.
    Action {
        tokens: Vec<Token>,
        start: usize,
    },
}

/// A token of an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where it starts.
    pub(super) start: usize,
    /// Whether a space stands before it.
    pub(super) is_apart: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$name`, without its `$`.
    Variable(String),
    /// A function, a keyword, `true`, `false`, `nil`.
    Word(String),
    Text(String),
    Integer(i64),
    Float(f64),
    Pipe,
    Open,
    Close,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Comma,
}

/// What is wrong, and where.
pub(super) struct LexError {
    pub(super) position: usize,
    pub(super) reason: String,
}

fn fault<T>(position: usize, reason: impl Into<String>) -> Result<T, LexError> {
    Err(LexError {
        position,
        reason: reason.into(),
    })
}

/// The pieces of a template, in order.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, LexError> {
    let mut pieces = Vec::new();
    let mut position = 0;
    let mut trims_next = false;
    loop {
        let rest = text.get(position..).unwrap_or_default();
        let open = rest.find("{{");
        let (plain, after) = rest.split_at(open.unwrap_or(rest.len()));
        let start = position + plain.len();
        let inside = after.strip_prefix("{{").unwrap_or_default();
        let trims_before = inside.starts_with('-') && inside.get(1..).is_some_and(starts_with_space);
        let plain = if trims_next { trimmed_start(plain) } else { plain };
        let plain = if trims_before { trimmed_end(plain) } else { plain };
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.to_owned()));
        }
        if open.is_none() {
            return Ok(pieces);
        }
        let body = start + 2 + usize::from(trims_before);
        let action = action(text, body, start)?;
        trims_next = action.trims_next;
        position = action.end;
        if let Some(tokens) = action.tokens {
            pieces.push(Piece::Action { tokens, start });
        }
    }
}

/// An action that was read; a comment has no tokens.
struct Action {
    tokens: Option<Vec<Token>>,
    end: usize,
    trims_next: bool,
}

fn action(text: &str, body: usize, start: usize) -> Result<Action, LexError> {
    let inside = text.get(body..).unwrap_or_default();
    if inside.trim_start_matches(is_space).starts_with("/*") {
        return comment(text, body, start);
    }
    let mut tokens = Vec::new();
    let mut position = body;
    let mut is_apart = false;
    loop {
        let rest = text.get(position..).unwrap_or_default();
        if let Some(length) = right_delimiter(rest) {
            return Ok(Action {
                tokens: Some(tokens),
                end: position + length,
                trims_next: length > 2,
            });
        }
        let Some(char) = rest.chars().next() else {
            return fault(start, "unclosed action");
        };
        if is_space(char) {
            is_apart = true;
            position += 1;
            continue;
        }
        let (kind, length) = token(rest, position)?;
        tokens.push(Token {
            kind,
            start: position,
            is_apart,
        });
        is_apart = false;
        position += length;
    }
}

fn comment(text: &str, body: usize, start: usize) -> Result<Action, LexError> {
    let inside = text.get(body..).unwrap_or_default();
    let Some(close) = inside.find("*/") else {
        return fault(start, "unclosed comment");
    };
    let after = inside.get(close + 2..).unwrap_or_default();
    match right_delimiter(after) {
        Some(length) => Ok(Action {
            tokens: None,
            end: body + close + 2 + length,
            trims_next: length > 2,
        }),
        None => fault(start, "comment ends before closing delimiter"),
    }
}

/// The length of `}}` or of ` -}}`, if one stands here.
fn right_delimiter(rest: &str) -> Option<usize> {
    if rest.starts_with("}}") {
        return Some(2);
    }
    (starts_with_space(rest) && rest.get(1..).is_some_and(|rest| rest.starts_with("-}}"))).then_some(4)
}

fn token(rest: &str, position: usize) -> Result<(Kind, usize), LexError> {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or(' ');
    let second = chars.next();
    let single = match first {
        '|' => Some(Kind::Pipe),
        '(' => Some(Kind::Open),
        ')' => Some(Kind::Close),
        '=' => Some(Kind::Assign),
        ',' => Some(Kind::Comma),
        _ => None,
    };
    if let Some(kind) = single {
        return Ok((kind, 1));
    }
    match first {
        ':' if second == Some('=') => Ok((Kind::Declare, 2)),
        '"' => quoted_text(rest, position),
        '`' => raw_text(rest, position),
        '\'' => character(rest, position),
        '$' => {
            let length = word_length(rest.get(1..).unwrap_or_default());
            let name = rest.get(1..=length).unwrap_or_default();
            Ok((Kind::Variable(name.to_owned()), 1 + length))
        }
        '.' if second.is_some_and(|second| second.is_ascii_digit()) => number(rest, position),
        '.' => {
            let length = word_length(rest.get(1..).unwrap_or_default());
            let name = rest.get(1..=length).unwrap_or_default();
            let kind = if name.is_empty() {
                Kind::Dot
            } else {
                Kind::Field(name.to_owned())
            };
            Ok((kind, 1 + length))
        }
        '+' | '-' | '0'..='9' => number(rest, position),
        _ if is_word(first) => {
            let word = rest.get(..word_length(rest)).unwrap_or_default();
            Ok((Kind::Word(word.to_owned()), word.len()))
        }
        _ => fault(position, format!("unexpected {first:?} in command")),
    }
}

fn quoted_text(rest: &str, position: usize) -> Result<(Kind, usize), LexError> {
    let mut bytes = Vec::new();
    let mut inside = rest.get(1..).unwrap_or_default();
    loop {
        let Some(char) = inside.chars().next().filter(|char| *char != '\n') else {
            return fault(position, "unterminated quoted string");
        };
        if char == '"' {
            // Go's texts may hold any bytes, these here do not.
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok((Kind::Text(text), rest.len() - inside.len() + 1));
        }
        let Some((written, length)) = written(inside, '"') else {
            return fault(position, "invalid escape in a quoted string");
        };
        match written {
            Written::Char(char) => bytes.extend(char.encode_utf8(&mut [0; 4]).bytes()),
            Written::Byte(byte) => bytes.push(byte),
        }
        inside = inside.get(length..).unwrap_or_default();
    }
}

/// What stands for one character, or one byte, of a text.
enum Written {
    Char(char),
    Byte(u8),
}

/// The first character of a text, or what its escape stands for, and how long that is.
fn written(text: &str, quote: char) -> Option<(Written, usize)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some((Written::Char(first), first.len_utf8()));
    }
    let code = |start: usize, length: usize, base: u32| {
        let digits = text.get(start..start + length)?;
        let are_digits = digits.chars().all(|digit| digit.is_digit(base));
        are_digits.then(|| u32::from_str_radix(digits, base).ok()).flatten()
    };
    let named = match chars.next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        char if char == quote => char,
        'x' => return Some((Written::Byte(u8::try_from(code(2, 2, 16)?).ok()?), 4)),
        'u' => return Some((Written::Char(char::from_u32(code(2, 4, 16)?)?), 6)),
        'U' => return Some((Written::Char(char::from_u32(code(2, 8, 16)?)?), 10)),
        '0'..='7' => return Some((Written::Byte(u8::try_from(code(1, 3, 8)?).ok()?), 4)),
        _ => return None,
    };
    Some((Written::Char(named), 2))
}

fn raw_text(rest: &str, position: usize) -> Result<(Kind, usize), LexError> {
    match rest.get(1..).and_then(|inside| inside.split_once('`')) {
        Some((inside, _)) => Ok((Kind::Text(inside.replace('\r', "")), inside.len() + 2)),
        None => fault(position, "unterminated raw quoted string"),
    }
}

/// A character in single quotes is its number.
fn character(rest: &str, position: usize) -> Result<(Kind, usize), LexError> {
    let inside = rest.get(1..).unwrap_or_default();
    let first = written(inside, '\'').filter(|_| !inside.starts_with(['\'', '\n']));
    let (number, length) = match first {
        Some((Written::Byte(byte), length)) => (u32::from(byte), length),
        Some((Written::Char(char), length)) => (u32::from(char), length),
        None => return fault(position, "malformed character constant"),
    };
    match inside.get(length..) {
        Some(after) if after.starts_with('\'') => Ok((Kind::Integer(number.into()), length + 2)),
        _ => fault(position, "malformed character constant"),
    }
}

fn number(rest: &str, position: usize) -> Result<(Kind, usize), LexError> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "+-._".contains(char);
    let length = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    let kind = match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(value), _) => Kind::Integer(value),
        (_, Ok(value)) => Kind::Float(value),
        _ => return fault(position, format!("bad number syntax: {text:?}")),
    };
    Ok((kind, length))
}

fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

fn word_length(text: &str) -> usize {
    text.find(|char| !is_word(char)).unwrap_or(text.len())
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

fn starts_with_space(text: &str) -> bool {
    text.starts_with(is_space)
}

fn trimmed_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

fn trimmed_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}
