// SPDX-License-Identifier: Apache-2.0
//! Templates as operators write them.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn sample() -> Value {
    let labels = BTreeMap::from([("app".to_owned(), "shop".to_owned())]);
    Value::Record(Record {
        type_name: "config.Sample",
        fields: vec![
            ("Name", "blue".into()),
            ("Namespace", "prod".into()),
            ("Code", Value::Integer(200)),
            ("Latency", Value::Float(0.25)),
            ("Labels", Value::Map(labels)),
            ("Annotations", Value::Map(BTreeMap::new())),
            ("Header", headers()),
        ],
    })
}

fn headers() -> Value {
    Value::Header(BTreeMap::from([
        ("Referer".to_owned(), vec!["there".to_owned()]),
        ("X-Multi".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
    ]))
}

#[test]
fn headers_variables_and_ranges_are_as_in_go() {
    let cases = [
        ("{{.Header.Get \"x-multi\"}}|{{.Header.Get \"Nope\"}}", "a|"),
        ("{{index .Header \"X-Multi\"}} {{index .Header \"Nope\"}}", "[a b] []"),
        (
            "{{range $i, $v := index .Header \"X-Multi\"}}{{$i}}:{{$v}}{{$.Name}};{{end}}",
            "0:ablue;1:bblue;",
        ),
        (
            "{{range .Labels}}{{.}}{{end}}{{range .Annotations}}x{{else}}none{{end}}",
            "shopnone",
        ),
        ("{{$x := .Name}}{{if .Code}}{{$x = \"b\"}}{{end}}{{$x}}", "b"),
        (
            "{{with $x := .Header.Get \"Referer\"}}ref={{.}}{{$x}}{{end}}",
            "ref=therethere",
        ),
        (
            "{{len (.Header.Values \"x-multi\")}}{{.Header}}",
            "2map[Referer:[there] X-Multi:[a b]]",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
    }
    assert!(
        rendered("{{$gone}}")
            .unwrap_err()
            .contains("undefined variable \"$gone\"")
    );
    assert!(rendered("{{range .Code}}{{end}}").is_err());
    assert!(rendered("{{.Name.Get \"x\"}}").is_err());
}

fn rendered(text: &str) -> Result<String, String> {
    Template::parse("t", text)
        .and_then(|template| template.render(&sample()))
        .map_err(|error| error.to_string())
}

#[test]
fn templates_render_as_in_go() {
    let cases = [
        ("plain", "plain"),
        ("{{.Name}}-{{.Namespace}}", "blue-prod"),
        ("{{ .Name -}}  x {{- .Code }}", "bluex200"),
        ("a{{/* note */}}b{{- /* note */ -}} c", "abc"),
        ("{{index .Labels \"app\"}}{{index .Annotations `x`}}", "shop"),
        ("{{.Labels.app}}|{{.Labels.none}}", "shop|<no value>"),
        (
            "{{if .Annotations.sub}}a{{else if eq .Name \"blue\"}}b{{else}}c{{end}}",
            "b",
        ),
        ("{{if and .Name (ne .Namespace \"dev\")}}yes{{end}}", "yes"),
        (
            "{{with .Labels}}{{.app}}{{end}}{{with .Annotations}}x{{else}}none{{end}}",
            "shopnone",
        ),
        ("{{.Name | printf \"%s-%s\" .Namespace}}", "prod-blue"),
        (
            "{{printf \"%5.2s|%-4d|%05d|%q|%v\" .Name .Code .Code .Name .Latency}}",
            "   bl|200 |00200|\"blue\"|0.25",
        ),
        (
            "{{slice .Name 0 2}}{{len .Name}}{{js \"a\\\"<\"}}{{urlquery \"a b&\"}}",
            "bl4a\\\"\\u003Ca+b%26",
        ),
        (
            "{{or .Annotations.a .Name}}{{not true}}{{(index .Labels \"app\") | html}}",
            "bluefalseshop",
        ),
        ("{{print .Code .Code .Name}}", "200 200blue"),
    ];
    for (text, expected) in cases {
        assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn errors_say_where_as_in_go() {
    let cases = [
        ("{{.Name", "template: t:1: unclosed action"),
        ("\n{{end}}", "template: t:2: unexpected {{end}}"),
        ("{{nope .Name}}", "template: t:1: function \"nope\" not defined"),
        ("{{}}", "template: t:1: missing value for command"),
        ("{{if .Name}}x", "template: t:1: unexpected EOF"),
        (
            "ab{{.Nope}}",
            "template: t:1:4: executing \"t\" at <.Nope>: can't evaluate field Nope in type config.Sample",
        ),
        (
            "{{.Name.First}}",
            "template: t:1:7: executing \"t\" at <.Name.First>: can't evaluate field First in type string",
        ),
        (
            "{{block .Labels}}{{end}}",
            "template: t:1: block is not understood by Sluice",
        ),
        (
            "{{if .Name}}{{$x := .Name}}{{end}}{{$x}}",
            "template: t:1: undefined variable \"$x\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(rendered(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    assert!(rendered(&"{{if .Name}}".repeat(10_000)).is_err());
    assert!(rendered(&format!("{{{{{}}}}}", "(".repeat(10_000))).is_err());
    assert!(rendered(&format!("{{{{{}.Name{}}}}}", "(".repeat(10_000), ")".repeat(10_000))).is_err());
}

proptest! {
    #[test]
    fn no_template_panics(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{-", " -}}", ".", ".Name", "(", ")", "|", "if ", "else ", "end", "with ", "index ", "printf ",
                "\"a\"", "\"%5s%d\"", "1", "-", " ", "é", "'x'", "`", "/*", "*/", "eq ", ".Labels", "$x", ":=", "nil", "slice ",
            ]),
            0..24,
        )
    ) {
        let _ = rendered(&parts.concat());
    }
}
