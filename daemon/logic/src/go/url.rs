// SPDX-License-Identifier: Apache-2.0
//! URLs as Go's net/url reads and prints them.
//!
//! Invariants: what net/url refuses is refused; what was printed is read and printed as itself.
//! Depends on: print.

use super::print::quoted;
use std::fmt::Write;
use std::net::Ipv6Addr;

/// A text that is no URL; prints as Go's `*url.Error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse {}: {reason}", quoted(.url))]
pub struct UrlError {
    url: String,
    reason: String,
}

/// The URL as Go prints what it read: the scheme in small letters, what must be escaped so.
///
/// # Errors
/// No URL.
pub fn normal(text: &str) -> Result<String, UrlError> {
    let (before, fragment) = match text.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (text, None),
    };
    let error = |reason: String| UrlError {
        url: text.to_owned(),
        reason,
    };
    let mut out = without_fragment(before).map_err(error)?;
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        out.push('#');
        out.push_str(&encoded(fragment, Part::Fragment).map_err(error)?);
    }
    Ok(out)
}

fn without_fragment(text: &str) -> Result<String, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, format!("?{query}")),
        None => (rest, String::new()),
    };
    let scheme = scheme.map(|scheme| format!("{}:", scheme.to_ascii_lowercase()));
    let has_scheme = scheme.is_some();
    let mut out = scheme.unwrap_or_default();
    if !rest.starts_with('/') {
        if has_scheme {
            // Opaque: kept as it is.
            return Ok(out + rest + &query);
        }
        let segment = rest.split('/').next().unwrap_or_default();
        if segment.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let after = rest.strip_prefix("//");
    let (authority, path) = match after.filter(|_| has_scheme || !rest.starts_with("///")) {
        Some(after) => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            (Some(self::authority(authority)?), path)
        }
        None => (None, rest),
    };
    let path_text = encoded(path, Part::Path)?;
    match authority {
        Some(authority) if !authority.is_empty() => {
            out.push_str("//");
            out.push_str(&authority);
        }
        // Nothing was between the slashes.
        Some(_) if has_scheme && !path.is_empty() => out.push_str("//"),
        _ => {}
    }
    Ok(out + &path_text + &query)
}

/// The scheme, if one stands there, and what follows its colon.
fn scheme(text: &str) -> Result<(Option<&str>, &str), String> {
    for (index, char) in text.char_indices() {
        match char {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if index > 0 => {}
            ':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((text.get(..index), text.get(index + 1..).unwrap_or_default())),
            _ => break,
        }
    }
    Ok((None, text))
}

/// User and host, as they are printed.
fn authority(text: &str) -> Result<String, String> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    let host = self::host(host)?;
    let Some(user) = user else { return Ok(host) };
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(is_good) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let escaped = |text: &str| unescaped(text).map(|bytes| escaped_for(&bytes, Part::User));
    let user = match user.split_once(':') {
        Some((name, password)) => format!("{}:{}", escaped(name)?, escaped(password)?),
        None => escaped(user)?,
    };
    Ok(format!("{user}@{host}"))
}

fn host(text: &str) -> Result<String, String> {
    let colon_port = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.rsplit_once(']').ok_or("missing ']' in host")?;
            let (address, zone) = match address.split_once("%25") {
                Some((address, zone)) => (address, Some(zone)),
                None => (address, None),
            };
            if address.parse::<Ipv6Addr>().is_err() || zone == Some("") {
                return Err("invalid host".to_owned());
            }
            after
        }
        None => text.rfind(':').and_then(|colon| text.get(colon..)).unwrap_or_default(),
    };
    if !is_port_or_none(colon_port) {
        return Err(format!("invalid port {} after host", quoted(colon_port)));
    }
    let bytes = unescaped(text)?;
    let is_wrong = |char: &char| char.is_ascii() && *char != '%' && !is_host_char(*char);
    if let Some(char) = text.chars().find(is_wrong) {
        return Err(format!("invalid character {} in host name", quoted(&char.to_string())));
    }
    // Only what is not ASCII may be escaped, and the percent sign.
    let mut escapes = text.split('%').skip(1);
    if let Some(escape) =
        escapes.find(|escape| escape.starts_with(|first: char| first < '8') && !escape.starts_with("25"))
    {
        let escape = escape.get(..2).unwrap_or(escape);
        return Err(format!("invalid URL escape {}", quoted(&format!("%{escape}"))));
    }
    Ok(escaped_for(&bytes, Part::Host))
}

/// The parts of a URL, in which other characters may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    User,
    Host,
    Path,
    Fragment,
}

/// As it is written if it may be printed so, else escaped anew.
fn encoded(text: &str, part: Part) -> Result<String, String> {
    let bytes = unescaped(text)?;
    let may_stand = |byte: u8| b"!$&'()*+,;=:@[]%".contains(&byte) || !is_escaped(byte, part);
    match text.bytes().all(may_stand) {
        true => Ok(text.to_owned()),
        false => Ok(escaped_for(&bytes, part)),
    }
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    if let Some(escape) = wrong_escape(text) {
        return Err(format!("invalid URL escape {}", quoted(escape)));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escape = after.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match (first, escape.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => out.push(*first),
        }
    }
    Ok(out)
}

fn escaped_for(bytes: &[u8], part: Part) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if is_escaped(*byte, part) {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(*byte));
        }
    }
    out
}

fn is_escaped(byte: u8, part: Part) -> bool {
    let stands = match part {
        Part::User => b"$&+,;=".as_slice(),
        Part::Host => b"!$&'()*+,;=:[]<>\"",
        Part::Path => b"$&+,/:;=@",
        Part::Fragment => b"$&+,/:;=?@!()*",
    };
    !(byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || stands.contains(&byte))
}

/// Why `https://` followed by the text is no URL of a host alone, in the words of Go and Knative.
pub(crate) fn not_a_host(text: &str) -> Option<String> {
    let url = format!("https://{text}");
    let fault = |reason: String| Some(format!("parse {}: {reason}", quoted(&url)));
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return fault("net/url: invalid control character in URL".to_owned());
    }
    let without_fragment = text.split_once('#').map_or(text, |(before, _)| before);
    let (before_query, query) = match without_fragment.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (without_fragment, None),
    };
    let (authority, path) = before_query.split_at(before_query.find('/').unwrap_or(before_query.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(reason) = wrong_host(host) {
        return fault(reason);
    }
    if let Some(escape) = wrong_escape(path) {
        return fault(format!("invalid URL escape {}", quoted(escape)));
    }
    if host_name(host).is_empty() {
        return Some("empty hostname".to_owned());
    }
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let uri = match path {
        "" => format!("/{query}"),
        _ => format!("{}{query}", path.bytes().map(escaped).collect::<String>()),
    };
    (uri != "/").then(|| format!("domain template has url path: {uri}"))
}

fn wrong_host(host: &str) -> Option<String> {
    let after_address = match host.strip_prefix('[') {
        Some(rest) => match rest.rsplit_once(']') {
            Some((_, after)) => after,
            None => return Some("missing ']' in host".to_owned()),
        },
        None => host.rfind(':').and_then(|colon| host.get(colon..)).unwrap_or_default(),
    };
    if !is_port_or_none(after_address) {
        return Some(format!("invalid port {} after host", quoted(after_address)));
    }
    let is_wrong = |char: &char| char.is_ascii() && !is_host_char(*char);
    match host.chars().find(is_wrong) {
        None => None,
        // An escape in a host is never right: Go takes it for other than ASCII alone.
        Some('%') => {
            let from = host.find('%').and_then(|index| host.get(index..)).unwrap_or_default();
            let escape: String = from.chars().take(3).collect();
            Some(format!("invalid URL escape {}", quoted(&escape)))
        }
        Some(char) => Some(format!("invalid character {} in host name", quoted(&char.to_string()))),
    }
}

fn is_host_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"".contains(char)
}

/// Nothing, or a colon and digits.
fn is_port_or_none(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn host_name(host: &str) -> &str {
    let name = match host.rfind(':') {
        Some(colon) if is_port_or_none(host.get(colon..).unwrap_or_default()) => host.get(..colon).unwrap_or_default(),
        _ => host,
    };
    name.strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name)
}

/// The first `%` without two digits of base 16.
fn wrong_escape(path: &str) -> Option<&str> {
    let mut rest = path;
    while let Some(index) = rest.find('%') {
        rest = rest.get(index..).unwrap_or_default();
        let is_escape = rest
            .as_bytes()
            .get(1..3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if !is_escape {
            let end = (0..=3.min(rest.len()))
                .rev()
                .find(|end| rest.is_char_boundary(*end))
                .unwrap_or(0);
            return rest.get(..end);
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    None
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.~/$&+,:;=@%!'()*[]".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_print_as_go_prints_them() {
        let rows = [
            ("HTTP://x", "http://x"),
            ("http://x.example.com:80/a?b#c", "http://x.example.com:80/a?b#c"),
            ("", ""),
            ("a/b", "a/b"),
            ("/a b", "/a%20b"),
            ("http://x/a%2fb c", "http://x/a/b%20c"),
            ("http://x/a%2fb", "http://x/a%2fb"),
            ("http://x/\u{e9}\"", "http://x/%C3%A9%22"),
            ("http://\u{e9}.com", "http://%C3%A9.com"),
            ("http://%c3%a9.com", "http://%C3%A9.com"),
            ("http://u:p%40@h", "http://u:p%40@h"),
            ("http://@h", "http://@h"),
            ("http://[::1]:80/", "http://[::1]:80/"),
            ("http://[fe80::1%25en0]", "http://[fe80::1%25en0]"),
            ("http://x?", "http://x?"),
            ("http://x#", "http://x"),
            ("http://x#a b", "http://x#a%20b"),
            ("mailto:A%zz", "mailto:A%zz"),
            ("file:///a", "file:///a"),
            ("file:/a", "file:/a"),
            ("http://", "http:"),
            ("//x/y", "//x/y"),
            ("1a", "1a"),
        ];
        for (text, printed) in rows {
            assert_eq!(normal(text).as_deref(), Ok(printed), "{text}");
            assert_eq!(normal(printed).as_deref(), Ok(printed), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let wrong = [
            ("http://%zz", "parse \"http://%zz\": invalid URL escape \"%zz\""),
            ("://x", "parse \"://x\": missing protocol scheme"),
            ("1a:b", "parse \"1a:b\": first path segment in URL cannot contain colon"),
            (
                "http://a b",
                "parse \"http://a b\": invalid character \" \" in host name",
            ),
            ("http://a:b", "parse \"http://a:b\": invalid port \":b\" after host"),
            ("http://[::1", "parse \"http://[::1\": missing ']' in host"),
            ("http://[1.2.3.4]", "parse \"http://[1.2.3.4]\": invalid host"),
            ("http://a%41", "parse \"http://a%41\": invalid URL escape \"%41\""),
            ("http://u u@h", "parse \"http://u u@h\": net/url: invalid userinfo"),
            ("http://x/%z", "parse \"http://x/%z\": invalid URL escape \"%z\""),
            ("http://x#%z", "parse \"http://x#%z\": invalid URL escape \"%z\""),
        ];
        for (text, error) in wrong {
            assert_eq!(normal(text).unwrap_err().to_string(), error, "{text}");
        }
    }

    #[test]
    fn hosts_are_judged_as_go_judges_them() {
        for host in [
            "foo.bar.baz.com",
            "a#f",
            "a:80",
            "u@h",
            "é.com",
            "a_b",
            "[::1]",
            "a:",
            "a\"b",
        ] {
            assert_eq!(not_a_host(host), None, "{host}");
        }
        let wrong = [
            ("", "empty hostname"),
            ("@", "empty hostname"),
            (":80", "empty hostname"),
            ("a/b", "domain template has url path: /b"),
            ("a?x", "domain template has url path: /?x"),
            ("a?", "domain template has url path: /?"),
            ("a//b c", "domain template has url path: //b%20c"),
            ("a b", "parse \"https://a b\": invalid character \" \" in host name"),
            (
                "a\\b",
                "parse \"https://a\\\\b\": invalid character \"\\\\\" in host name",
            ),
            ("a:x", "parse \"https://a:x\": invalid port \":x\" after host"),
            ("a%zz", "parse \"https://a%zz\": invalid URL escape \"%zz\""),
            ("a/%zz", "parse \"https://a/%zz\": invalid URL escape \"%zz\""),
            ("[x", "parse \"https://[x\": missing ']' in host"),
            (
                "a\u{1}",
                "parse \"https://a\\x01\": net/url: invalid control character in URL",
            ),
        ];
        for (host, error) in wrong {
            assert_eq!(not_a_host(host).as_deref(), Some(error), "{host}");
        }
    }
}
