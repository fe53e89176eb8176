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
            ("URL", url()),
        ],
    })
}

fn url() -> Value {
    let query = BTreeMap::from([("q".to_owned(), vec!["1".to_owned()])]);
    let record = Record {
        type_name: "url.URL",
        fields: vec![("Path", "/p".into()), ("Query", Value::Query(query))],
    };
    Value::Shown("/p?q=1".to_owned(), record)
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
            "{{index .Header \"X-Multi\" 1}} {{index .Header \"Referer\" 0 0}}",
            "b 116",
        ),
        ("{{.Header.Referer}}{{.Header.referer}}", "[there]<no value>"),
        ("{{.URL}} {{.URL.Path}} {{printf \"%s\" .URL}}", "/p?q=1 /p /p?q=1"),
        (
            "{{.URL.Query}}{{.URL.Query.Get \"q\"}}{{.URL.Query.Get \"Q\"}}{{.URL.Query.Has \"q\"}}",
            "map[q:[1]]1true",
        ),
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
    all_render(&cases);
    assert!(
        rendered("{{$gone}}")
            .unwrap_err()
            .contains("undefined variable \"$gone\"")
    );
    assert!(rendered("{{range .Code}}{{end}}").is_err());
    assert!(rendered("{{index .Header \"Nope\" 0}}").is_err());
    assert!(rendered("{{index .Code 1 2}}").is_err());
    assert!(rendered("{{.URL.Nope}}").is_err());
    assert!(rendered("{{.Name.Get \"x\"}}").is_err());
}

fn rendered(text: &str) -> Result<String, String> {
    Template::parse("t", text)
        .and_then(|template| template.render(&sample()))
        .map_err(|error| error.to_string())
}

/// Each text becomes what stands beside it.
fn all_render(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(rendered(text).as_deref(), Ok(*expected), "{text}");
    }
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
    all_render(&cases);
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
            "template: t:1: unexpected token in block clause",
        ),
        ("{{break}}", "template: t:1: {{break}} outside {{range}}"),
        (
            "{{range .Labels}}{{else}}{{continue}}{{end}}",
            "template: t:1: {{continue}} outside {{range}}",
        ),
        (
            "{{if true}}{{define \"x\"}}{{end}}{{end}}",
            "template: t:1: unexpected {{define}}",
        ),
        (
            "{{define \"x\"}}a{{end}}{{define \"x\"}}b{{end}}",
            "template: t:1: multiple definition of template \"x\"",
        ),
        (
            "{{define \"x\"}}{{$y}}{{end}}{{$y := 1}}",
            "template: t:1: undefined variable \"$y\"",
        ),
        (
            "{{template \"x\"}}",
            "template: t:1:11: executing \"t\" at <{{template \"x\"}}>: template \"x\" not defined",
        ),
        (
            "{{define \"x\"}}{{.Nope}}{{end}}{{template \"x\" .}}",
            "template: t:1:16: executing \"x\" at <.Nope>: can't evaluate field Nope in type config.Sample",
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
fn ranges_are_left_and_gone_on_with() {
    let cases = [
        (
            "{{range index .Header \"X-Multi\"}}{{if eq . \"a\"}}{{continue}}{{end}}{{.}}{{end}}",
            "b",
        ),
        (
            "{{range $v := index .Header \"X-Multi\"}}{{$v}}{{break}}never{{end}}.{{.Name}}",
            "a.blue",
        ),
        (
            "{{range .Labels}}{{range index $.Header \"X-Multi\"}}{{break}}{{end}}x{{end}}",
            "x",
        ),
        (
            "{{range .Labels}}{{range $.Annotations}}{{else}}{{break}}{{end}}never{{end}}",
            "",
        ),
    ];
    all_render(&cases);
}

#[test]
fn templates_call_one_another() {
    let cases = [
        (
            "{{define \"x\"}}<{{.}}>{{end}}{{template \"x\" .Name}}{{template `x`}}",
            "<blue><<no value>>",
        ),
        ("{{template \"x\" .}}{{define \"x\"}}{{$.Name}}{{end}}", "blue"),
        (
            "{{block \"x\" .Labels}}{{.app}}{{end}}-{{template \"x\" .Annotations}}",
            "shop-<no value>",
        ),
        ("{{define \"x\"}} {{end}}{{block \"x\" .}}full{{end}}", "full"),
        (
            "{{define \"x\"}}{{.}}{{if ne . \"e\"}}{{template \"x\" (slice . 1)}}{{end}}{{end}}{{template \"x\" .Name}}",
            "bluelueuee",
        ),
    ];
    all_render(&cases);
}

#[test]
fn texts_have_the_escapes_of_go() {
    let cases = [
        (
            r#"{{"\x41\u00e9\U0001F600\101\a\b\f\v\""}}"#,
            "Aé😀A\u{7}\u{8}\u{c}\u{b}\"",
        ),
        (r#"{{"\xc3\xa9"}}"#, "é"),
        (r"{{'\x41'}} {{'\''}} {{'é'}} {{'\u00e9'}}", "65 39 233 233"),
    ];
    all_render(&cases);
    for wrong in [
        r#"{{"\'"}}"#,
        r#"{{"\x4"}}"#,
        r#"{{"\ud800"}}"#,
        r#"{{"\400"}}"#,
        r#"{{'\"'}}"#,
        "{{''}}",
        "{{'ab'}}",
    ] {
        assert!(rendered(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn verbs_print_as_gos_fmt_does() {
    let cases = [
        (
            r#""%x %X %#x % x %.2x" "foo" "foo" "foo" "foo" "foo""#,
            "666f6f 666F6F 0x666f6f 66 6f 6f 666f",
        ),
        (r#""%c%c|%q|%U|%#U" 65 128512 65 233 233"#, "A😀|'A'|U+00E9|U+00E9 'é'"),
        (
            r#""%o %O %#o %b %x %X %#x" 8 8 8 5 255 255 255"#,
            "10 0o10 010 101 ff FF 0xff",
        ),
        (
            r#""%+d|% d|%5d|%-5d|%05d|%.3d|%+05d" 7 7 7 7 -7 7 7"#,
            "+7| 7|    7|7    |-0007|007|+0007",
        ),
        (
            r#""%e %.1e %E %g %g %.3g" 0.25 0.25 0.25 0.25 1000000.5 1234.5"#,
            "2.500000e-01 2.5e-01 2.500000E-01 0.25 1.0000005e+06 1.23e+03",
        ),
        (
            r#""%6.2f|%-6.1f|%06.1f|%+.1f" 0.25 0.25 -0.25 0.25"#,
            "  0.25|0.2   |-000.2|+0.2",
        ),
        (r#""%q %#q" "a\"b" "a\"b""#, "\"a\\\"b\" `a\"b`"),
        (r#""%*d|%-*d|%.*f" 4 1 4 1 1 0.25"#, "   1|1   |0.2"),
        (r#""%[2]s %[1]s|%[3]d" "a" "b""#, "b a|%!d(BADINDEX)"),
        (r#""%d %s %t" "a" 1 0.5"#, "%!d(string=a) %!s(int=1) %!t(float64=0.5)"),
        (r#""%s" "a" 1 nil"#, "a%!(EXTRA int=1, <nil>)"),
        (
            r#""%s %v %q" (index .Header "X-Multi") .Labels (index .Header "X-Multi")"#,
            "[a b] map[app:shop] [\"a\" \"b\"]",
        ),
        (r#""%T %v %d%%" .Name .Labels.none 5"#, "string <nil> 5%"),
        (r#""%z %d" 1"#, "%!z(int=1) %!d(MISSING)"),
    ];
    for (text, expected) in cases {
        assert_eq!(
            rendered(&format!("{{{{printf {text}}}}}")).as_deref(),
            Ok(expected),
            "{text}"
        );
    }
}

#[test]
fn nesting_is_bounded() {
    assert!(rendered("{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}").is_err());
    let doubled: String = (0..40)
        .map(|at| {
            format!(
                "{{{{define \"{at}\"}}}}{{{{template \"{0}\"}}}}{{{{template \"{0}\"}}}}{{{{end}}}}",
                at + 1
            )
        })
        .collect();
    assert!(
        rendered(&format!(
            "{doubled}{{{{define \"40\"}}}}{{{{end}}}}{{{{template \"0\"}}}}"
        ))
        .is_err()
    );
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
                "range ", "break", "continue", "define ", "block ", "template ", "\"%[1]*.x%+q\"", "\"\\x41\"",
            ]),
            0..24,
        )
    ) {
        let _ = rendered(&parts.concat());
    }
}
