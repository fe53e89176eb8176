// SPDX-License-Identifier: Apache-2.0
//! In which form the client wants objects: whole, as metadata only, or as a table.
//!
//! Mechanism: what is wanted whole is copied from where it is, without a tree in between.
//! Depends on: table, store.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::table;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::store::Place;

/// A form of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Metadata,
    Table,
}

impl Form {
    /// The first form of an `Accept` header that there is.
    pub(super) fn read(accept: &str) -> Result<Self, Refusal> {
        let forms: Vec<&str> = accept
            .split(',')
            .map(str::trim)
            .filter(|form| !form.is_empty())
            .collect();
        let found = forms.iter().find_map(|form| {
            let mut parts = form.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "application/*" | "*/*" | "text/html") {
                return None;
            }
            match parts.find_map(|part| part.strip_prefix("as=")) {
                None => Some(Self::Whole),
                Some("Table") if form.contains("v=v1;") || form.ends_with("v=v1") => Some(Self::Table),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Self::Metadata),
                Some(_) => None,
            }
        });
        match (found, forms.is_empty()) {
            (Some(form), _) => Ok(form),
            (None, true) => Ok(Self::Whole),
            (None, false) => Err(Refusal::Plain {
                code: 406,
                reason: "NotAcceptable",
                message: "only the following media types are accepted: application/json".to_owned(),
            }),
        }
    }

    /// One object.
    pub(super) fn of_one<'a>(self, resource: &'static Resource, object: &'a Value, now: i64) -> Cow<'a, Value> {
        match self {
            Self::Whole => Cow::Borrowed(object),
            Self::Metadata => Cow::Owned(partial(object)),
            Self::Table => Cow::Owned(table::of(
                resource,
                &[object],
                &object["metadata"]["resourceVersion"],
                now,
            )),
        }
    }

    /// A list.
    pub(super) fn of_list(self, resource: &'static Resource, objects: &[&Value], version: u64, now: i64) -> Value {
        let version = Value::from(version.to_string());
        let (kind, api_version, items): (_, _, Vec<Value>) = match self {
            Self::Table => return table::of(resource, objects, &version, now),
            Self::Whole => (
                format!("{}List", resource.kind),
                resource.api_version(),
                objects.iter().map(|object| (*object).clone()).collect(),
            ),
            Self::Metadata => (
                "PartialObjectMetadataList".to_owned(),
                "meta.k8s.io/v1".to_owned(),
                objects.iter().copied().map(partial).collect(),
            ),
        };
        json!({"kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": version}, "items": items})
    }
}

/// Adds the JSON of an object, whole.
pub(super) fn write(out: &mut Vec<u8>, place: &Place) {
    place.text(|text| match text {
        Ok(text) => out.extend_from_slice(text),
        Err(object) => out.extend_from_slice(object.to_string().as_bytes()),
    });
}

/// A list of whole objects as JSON, as [`Form::of_list`] would make it.
pub(super) fn write_list<'a>(
    resource: &'static Resource,
    places: impl Iterator<Item = &'a Place>,
    version: u64,
) -> Vec<u8> {
    let (kind, api_version) = (resource.kind, resource.api_version());
    let mut out = format!(r#"{{"apiVersion":"{api_version}","items":["#).into_bytes();
    for (count, place) in places.enumerate() {
        if count > 0 {
            out.push(b',');
        }
        write(&mut out, place);
    }
    let end = format!(r#"],"kind":"{kind}List","metadata":{{"resourceVersion":"{version}"}}}}"#);
    out.extend_from_slice(end.as_bytes());
    out.push(b'\n');
    out
}

/// The metadata of an object as an object.
fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
