// SPDX-License-Identifier: Apache-2.0
//! Trace context in headers: W3C's (`traceparent`, `tracestate`) and B3's, in one header or in several.
//!
//! Mechanism: W3C's counts where both are there. What the client used is written anew with the span that goes to the pod, and
//! `traceparent` always. B3's 64-bit traces are the lower half of a number of 128.
//! Invariants: what is malformed counts as absent, and its `tracestate` goes no further (Trace Context 3.3); names of another
//! trace are left as they came.
//! Depends on: span.

use super::span::{SpanId, TraceId};
use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// Bytes of a `tracestate` that spans keep; that many at least are to be passed on (Trace Context 3.3.1.5).
const STATE: usize = 512;

/// What the client says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) trace: Option<TraceId>,
    span: Option<SpanId>,
    /// None: others decide.
    pub(super) sampled: Option<bool>,
    /// W3C's flags, if it is W3C's.
    flags: Option<u8>,
}

/// The names of a traced request.
pub(super) struct Ids {
    pub(super) trace: TraceId,
    /// The client's span.
    pub(super) parent: Option<SpanId>,
    pub(super) handle: SpanId,
    /// What the pod sees.
    pub(super) forward: SpanId,
}

impl Ids {
    pub(super) fn of(trace: TraceId, asked: &Asked) -> Self {
        Self {
            trace,
            parent: asked.span,
            handle: SpanId::random(),
            forward: SpanId::random(),
        }
    }
}

/// Reads the client's headers.
pub(super) fn read(headers: &HeaderMap) -> Asked {
    w3c(headers)
        .or_else(|| single(headers))
        .or_else(|| several(headers))
        .unwrap_or_default()
}

/// Tells the pod. Returns the client's `tracestate`, if it is not too long to be kept.
pub(super) fn write(headers: &mut HeaderMap, ids: &Ids, asked: &Asked) -> Option<HeaderValue> {
    let state = match asked.flags {
        Some(_) => headers.get(&TRACESTATE).and_then(kept),
        None => {
            headers.remove(&TRACESTATE);
            None
        }
    };
    // Of the flags only "random" is passed on (Trace Context level 2).
    let flags = asked.flags.unwrap_or(0) & 2 | 1;
    set(
        headers,
        &TRACEPARENT,
        &format!("00-{}-{}-{flags:02x}", ids.trace, ids.forward),
    );
    if single(headers).is_some_and(|single| single.trace == Some(ids.trace)) {
        let debug = text(headers, &B3).is_some_and(|value| value.split('-').nth(2) == Some("d"));
        let sampled = if debug { 'd' } else { '1' };
        set(
            headers,
            &B3,
            &format!("{}-{}-{sampled}-{}", ids.trace, ids.forward, ids.handle),
        );
    }
    if several(headers).is_some_and(|several| several.trace == Some(ids.trace)) {
        set(headers, &B3_SPAN, &ids.forward.to_string());
        set(headers, &B3_PARENT, &ids.handle.to_string());
        if text(headers, &B3_FLAGS) != Some("1") {
            headers.insert(B3_SAMPLED, HeaderValue::from_static("1"));
        }
    }
    state
}

/// A copy: what came is a part of its whole head, and would hold all of it.
fn kept(state: &HeaderValue) -> Option<HeaderValue> {
    let bytes = Some(state.as_bytes()).filter(|bytes| bytes.len() <= STATE)?;
    HeaderValue::from_bytes(bytes).ok()
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    // Hexadecimal digits and dashes are always a value.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name.clone(), value);
    }
}

/// The only one of that name; two are none.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(first)
}

/// So many hexadecimal digits, not all zero.
fn digits(text: &str, count: usize) -> Option<u128> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    (number != 0).then_some(number)
}

fn span(text: &str) -> Option<SpanId> {
    digits(text, 16).map(|number| SpanId(number as u64))
}

/// Trace Context 3.2: `00-<trace>-<span>-<flags>`, in lower case; later versions may have more after it.
fn w3c(headers: &HeaderMap) -> Option<Asked> {
    let value = text(headers, &TRACEPARENT)?;
    if value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut parts = value.split('-');
    let [version, trace, parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let is_byte = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_version = is_byte(version) && version != "ff" && (version != "00" || parts.next().is_none());
    if !is_version || !is_byte(flags) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(Asked {
        trace: Some(TraceId(digits(trace, 32)?)),
        span: Some(span(parent)?),
        sampled: Some(flags & 1 == 1),
        flags: Some(flags),
    })
}

fn b3_trace(text: &str) -> Option<TraceId> {
    digits(text, 32).or_else(|| digits(text, 16)).map(TraceId)
}

fn b3_sampled(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// `<trace>-<span>[-<sampled>[-<parent>]]`, or the decision alone.
fn single(headers: &HeaderMap) -> Option<Asked> {
    let value = text(headers, &B3)?;
    let mut parts = value.split('-');
    let (first, second) = (parts.next()?, parts.next());
    let Some(second) = second else {
        return b3_sampled(first).map(|sampled| Asked {
            sampled: Some(sampled),
            ..Asked::default()
        });
    };
    Some(Asked {
        trace: Some(b3_trace(first)?),
        span: Some(span(second)?),
        sampled: parts.next().and_then(b3_sampled),
        flags: None,
    })
}

fn several(headers: &HeaderMap) -> Option<Asked> {
    let debug = text(headers, &B3_FLAGS) == Some("1");
    let sampled = match debug {
        true => Some(true),
        false => text(headers, &B3_SAMPLED).and_then(b3_sampled),
    };
    let ids = text(headers, &B3_TRACE)
        .and_then(b3_trace)
        .zip(text(headers, &B3_SPAN).and_then(span));
    if ids.is_none() && sampled.is_none() {
        return None;
    }
    Some(Asked {
        trace: ids.map(|(trace, _)| trace),
        span: ids.map(|(_, span)| span),
        sampled,
        flags: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    /// Trace, span and decision; an empty trace: none.
    fn asked(headers: &[(&'static str, &str)]) -> (String, Option<bool>) {
        let asked = read(&map(headers));
        let trace = asked.trace.map(|trace| trace.to_string());
        let span = asked.span.map(|span| span.to_string());
        (
            trace.zip(span).map(|both| both.0 + "/" + &both.1).unwrap_or_default(),
            asked.sampled,
        )
    }

    #[test]
    fn w3c_is_read_to_the_letter() {
        let due = format!("{TRACE}/{SPAN}");
        for (value, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
        ] {
            assert_eq!(
                asked(&[("traceparent", &value)]),
                (due.clone(), Some(sampled)),
                "{value}"
            );
        }
        for wrong in [
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}"),
            "garbage".to_owned(),
        ] {
            assert_eq!(asked(&[("traceparent", &wrong)]), (String::new(), None), "{wrong}");
        }
        let good = format!("00-{TRACE}-{SPAN}-01");
        let twice = [("traceparent", good.as_str()), ("traceparent", good.as_str())];
        assert_eq!(asked(&twice), (String::new(), None));
    }

    #[test]
    fn b3_is_read_in_both_forms() {
        let (whole, half) = (format!("{TRACE}/{SPAN}"), format!("{:0>32}/{SPAN}", "a3ce929d0e0e4736"));
        for (value, due) in [
            (format!("{TRACE}-{SPAN}-1"), (&*whole, Some(true))),
            (format!("{TRACE}-{SPAN}-d-{SPAN}"), (&whole, Some(true))),
            (format!("{TRACE}-{SPAN}-0"), (&whole, Some(false))),
            (format!("{TRACE}-{SPAN}"), (&whole, None)),
            (format!("a3ce929d0e0e4736-{SPAN}-1"), (&half, Some(true))),
            ("0".to_owned(), ("", Some(false))),
            ("d".to_owned(), ("", Some(true))),
            (format!("{TRACE}-short"), ("", None)),
        ] {
            let found = asked(&[("b3", &value)]);
            assert_eq!((found.0.as_str(), found.1), due, "{value}");
        }
        let ids = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
        assert_eq!(asked(&ids), (whole.clone(), None));
        assert_eq!(
            asked(&[ids[0], ids[1], ("x-b3-sampled", "0")]),
            (whole.clone(), Some(false))
        );
        assert_eq!(
            asked(&[ids[0], ids[1], ("x-b3-flags", "1")]),
            (whole.clone(), Some(true))
        );
        assert_eq!(asked(&[("x-b3-sampled", "1")]), (String::new(), Some(true)));
        // W3C's counts.
        let other = format!("00-{}-{SPAN}-00", "1".repeat(32));
        assert_eq!(asked(&[ids[0], ids[1], ("traceparent", &other)]).1, Some(false));
    }

    fn passed(headers: &[(&'static str, &str)]) -> (HeaderMap, Ids) {
        let mut headers = map(headers);
        let asked = read(&headers);
        let ids = Ids::of(asked.trace.unwrap_or(TraceId(7)), &asked);
        write(&mut headers, &ids, &asked);
        (headers, ids)
    }

    #[test]
    fn the_pod_sees_the_span_that_was_sent_to_it() {
        let parent = format!("00-{TRACE}-{SPAN}-03");
        let (headers, ids) = passed(&[("traceparent", &parent), ("tracestate", "a=b")]);
        assert_eq!(headers["traceparent"], format!("00-{TRACE}-{}-03", ids.forward));
        assert_eq!((headers["tracestate"].as_bytes(), headers.len()), (&b"a=b"[..], 2));
        let single = format!("{TRACE}-{SPAN}-d");
        let (headers, ids) = passed(&[("b3", &single)]);
        assert_eq!(headers["b3"], format!("{TRACE}-{}-d-{}", ids.forward, ids.handle));
        assert_eq!(headers["traceparent"], format!("00-{TRACE}-{}-01", ids.forward));
        let (headers, ids) = passed(&[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)]);
        assert_eq!(headers["x-b3-traceid"], TRACE);
        assert_eq!(headers["x-b3-spanid"], ids.forward.to_string());
        assert_eq!(headers["x-b3-parentspanid"], ids.handle.to_string());
        assert_eq!(headers["x-b3-sampled"], "1");
    }

    #[test]
    fn what_is_malformed_begins_anew_without_its_state() {
        let (headers, ids) = passed(&[("traceparent", "garbage"), ("tracestate", "a=b"), ("b3", "nonsense-1")]);
        assert_eq!(headers["traceparent"], format!("00-{}-{}-01", ids.trace, ids.forward));
        assert!(!headers.contains_key("tracestate"));
        assert_eq!(headers["b3"], "nonsense-1");
    }

    #[test]
    fn a_long_state_goes_to_the_pod_and_is_not_kept() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        for (length, is_kept) in [(STATE, true), (STATE + 1, false)] {
            let state = format!("a={}", "b".repeat(length - 2));
            let mut headers = map(&[("traceparent", &parent), ("tracestate", &state)]);
            let asked = read(&headers);
            let ids = Ids::of(TraceId(7), &asked);
            let kept = write(&mut headers, &ids, &asked);
            assert_eq!(kept.is_some(), is_kept);
            assert_eq!(headers["tracestate"], state);
            let came = headers["tracestate"].as_bytes().as_ptr();
            assert!(kept.is_none_or(|kept| kept == state && kept.as_bytes().as_ptr() != came));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_in_what_goes_out_is_well_formed(
            name in prop::sample::select(vec!["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]),
            value in "[0-9a-fA-Fd-]{0,60}|[ -~]{0,40}",
        ) {
            let (headers, ids) = passed(&[(name, &value)]);
            let again = w3c(&headers).unwrap();
            prop_assert_eq!(again.trace, Some(ids.trace));
            prop_assert_eq!((again.span, again.sampled), (Some(ids.forward), Some(true)));
        }
    }
}
