// SPDX-License-Identifier: Apache-2.0
//! The content type of a body whose sender named none, as Go's server (and so Knative) guesses it.
//!
//! Mechanism: the table of the WHATWG's MIME sniffing standard, as far as Go has it.
//! Depends on: http.

use http::{HeaderMap, HeaderValue, header};

/// Whether nobody said what a body is: Go's server says it of one whose length is known, and so waits for its beginning.
pub(crate) fn is_unnamed(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::CONTENT_TYPE) && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Says it, by its beginning.
pub(crate) fn name(headers: &mut HeaderMap, body: &[u8]) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(body)));
}

/// So many bytes are looked at.
const LOOKED_AT: usize = 512;

const TAGS: [&str; 17] = [
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
];

const BEGINNINGS: [(&[u8], &str); 26] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    (b"\0\0\x01\0", "image/x-icon"),
    (b"\0\0\x02\0", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\0", "application/ogg"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\0\x01\0\0", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
    (b"\0asm", "application/wasm"),
];

/// The type of a body that begins so.
pub(crate) fn content_type(body: &[u8]) -> &'static str {
    let body = body.get(..LOOKED_AT).unwrap_or(body);
    let text = body.trim_ascii_start();
    if TAGS.iter().any(|tag| is_tag(text, tag)) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(begin, _)| body.starts_with(begin)) {
        return kind;
    }
    match (body.get(..4), body.get(8..12)) {
        (Some(b"RIFF"), Some(b"WAVE")) => return "audio/wave",
        (Some(b"RIFF"), Some(b"AVI ")) => return "video/avi",
        (Some(b"RIFF"), Some(b"WEBP")) if body.get(12..14) == Some(b"VP") => return "image/webp",
        (Some(b"FORM"), Some(b"AIFF")) => return "audio/aiff",
        _ => {}
    }
    if is_mp4(body) {
        return "video/mp4";
    }
    if body.get(34..36) == Some(b"LP") {
        return "application/vnd.ms-fontobject";
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    match body.iter().any(is_binary) {
        true => "application/octet-stream",
        false => "text/plain; charset=utf-8",
    }
}

/// A first box that names the kind of file, and one kind of it (WHATWG's MIME sniffing 6.2.1).
fn is_mp4(body: &[u8]) -> bool {
    let Some((size, [b'f', b't', b'y', b'p', ..])) = body.split_first_chunk() else {
        return false;
    };
    let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
    let kinds = body.get(8..size).filter(|_| size >= 12 && size % 4 == 0);
    let mut kinds = kinds.unwrap_or_default().chunks(4).enumerate();
    // The second is a version.
    kinds.any(|(place, kind)| place != 1 && kind.starts_with(b"mp4"))
}

/// A tag in any case, ended by a space or `>`.
fn is_tag(text: &[u8], tag: &str) -> bool {
    let begins = text
        .get(..tag.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(tag.as_bytes()));
    begins && (tag == "<!--" || matches!(text.get(tag.len()), Some(b' ' | b'>')))
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn the_beginning_tells() {
        assert_eq!(content_type(b"ok"), "text/plain; charset=utf-8");
        assert_eq!(content_type(b" \n<hTml>"), "text/html; charset=utf-8");
        assert_eq!(content_type(b"\x89PNG\r\n\x1a\n..."), "image/png");
        assert_eq!(content_type(b"a\0b"), "application/octet-stream");
        assert_eq!(content_type(b"<br/>"), "text/plain; charset=utf-8");
        assert_eq!(content_type(b"Rar!\x1a\x07\x01\0"), "application/x-rar-compressed");
        assert_eq!(content_type(b"RIFF....WEBPVP8 "), "image/webp");
        assert_eq!(content_type(b"RIFF....WEBP"), "text/plain; charset=utf-8");
        assert_eq!(
            content_type(&[&[0; 34], &b"LP"[..]].concat()),
            "application/vnd.ms-fontobject"
        );
    }

    #[test]
    fn a_video_says_its_kind_in_a_whole_first_box() {
        let kind = |size: u8, rest: &[u8]| content_type(&[&[0, 0, 0, size], &b"ftyp"[..], rest].concat());
        assert_eq!(kind(16, b"mp42\0\0\0\0"), "video/mp4");
        assert_eq!(kind(20, b"isom\0\0\0\0mp41"), "video/mp4");
        for (size, rest) in [
            (16, &b"isommp42"[..]),
            (24, b"mp42\0\0\0\0"),
            (15, b"mp42\0\0\0\0"),
            (4, b"mp42\0\0\0\0"),
        ] {
            assert_eq!(kind(size, rest), "application/octet-stream", "{size}");
        }
    }
}
