// SPDX-License-Identifier: Apache-2.0
//! Whether a text is the host of a URL, as Go's net/url judges it.
//!
//! Depends on: print.

use super::print::quoted;

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
