// SPDX-License-Identifier: Apache-2.0
//! Bodies written by hand; kubectl's own are sent in the suite `api`.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 127 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let types = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [
        MAGIC.to_vec(),
        field(1, &types),
        field(2, raw),
        field(3, b""),
        field(4, b""),
    ]
    .concat()
}

#[test]
fn a_configmap_is_read_and_what_is_empty_is_left_out() {
    let metadata = [field(1, b"m"), field(2, b""), field(3, b"n"), field(8, b"")].concat();
    let data = [field(1, b"k"), field(2, b"v")].concat();
    let binary = [field(1, b"b"), field(2, &[0xff])].concat();
    let raw = [field(1, &metadata), field(2, &data), field(3, &binary), number(4, 0)].concat();
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "n"},
        "data": {"k": "v"}, "binaryData": {"b": "/w=="}, "immutable": false,
    });
    assert_eq!(decode(&body("v1", "ConfigMap", &raw)).unwrap(), expected);
}

#[test]
fn what_is_told_by_a_pointer_stays_and_inner_fields_come_out() {
    let port = [
        field(1, b""),
        field(2, b"TCP"),
        number(3, 80),
        field(4, &[number(1, 1), number(2, 0), field(3, b"web")].concat()),
        number(5, 0),
    ]
    .concat();
    let service = [field(1, &port), field(3, b"None"), field(4, b"ClusterIP")].concat();
    let read = decode(&body("v1", "Service", &field(2, &service))).unwrap();
    assert_eq!(
        read["spec"],
        json!({"ports": [{"protocol": "TCP", "port": 80, "targetPort": "web"}], "clusterIP": "None", "type": "ClusterIP"})
    );
    let deployment = number(1, 0);
    let read = decode(&body("apps/v1", "Deployment", &field(2, &deployment))).unwrap();
    assert_eq!(read["spec"], json!({"replicas": 0}));
    let source = field(2, &field(6, &[number(3, 2)].concat()));
    let volume = [field(1, b"v"), source].concat();
    let read = decode(&body("v1", "Pod", &field(2, &field(1, &volume)))).unwrap();
    assert_eq!(
        read["spec"]["volumes"],
        json!([{"name": "v", "secret": {"defaultMode": 2}}])
    );
}

#[test]
fn what_cannot_be_read_says_why() {
    assert_eq!(decode(b"{}"), Err(Unreadable::NoMagic));
    let unknown = decode(&body("v1", "Secrets", b""));
    assert_eq!(unknown, Err(Unreadable::NoKind("v1 Secrets".to_owned())));
    let truncated = body("v1", "Secret", &[0x0a, 0x7f]);
    assert_eq!(decode(&truncated), Err(Unreadable::Damaged));
}

#[test]
fn nesting_is_bounded() {
    // A JSONSchema-like recursion does not exist in these kinds, so the depth is asked for directly.
    let message = table::of_kind("v1", "Pod").unwrap();
    let refused = read_message(message, &field(2, b""), &mut Map::new(), 1);
    assert_eq!(refused, Err(Unreadable::TooDeep));
}

proptest! {
    #[test]
    fn any_bytes_are_an_object_or_an_error(raw in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
        for kind in ["Pod", "Service", "Secret", "Event"] {
            let mut whole = body("v1", kind, &raw);
            let _either = decode(&whole);
            whole.truncate(cut);
            let _either = decode(&whole);
        }
    }
}
