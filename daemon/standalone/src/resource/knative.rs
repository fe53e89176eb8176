// SPDX-License-Identifier: Apache-2.0
//! Knative's kinds, read from their definitions.
//!
//! Depends on: api (kind, crd), schema.

use api::{crd, kind::Kind};
use serde_json::Value;

use super::{Column, Counting, Resource, Source};
use crate::schema::Schema;

pub(super) fn rows() -> Vec<Resource> {
    Kind::ALL.into_iter().map(row).collect()
}

fn row(kind: Kind) -> Resource {
    let definition = crd::definition(kind);
    let spec = &definition["spec"];
    let version = &spec["versions"][0];
    let written = &version["schema"]["openAPIV3Schema"];
    Resource {
        group: kind.group(),
        version: kind.version(),
        plural: kind.plural(),
        singular: kind.name().to_lowercase(),
        kind: kind.name(),
        short_names: kind.short_names().to_vec(),
        categories: texts(&spec["names"]["categories"]),
        namespaced: kind.is_namespaced(),
        has_status: !version["subresources"]["status"].is_null(),
        has_scale: false,
        counting: Counting::Spec,
        unconditional: false,
        returns_deleted: false,
        knative: Some(kind),
        columns: columns(&version["additionalPrinterColumns"]),
        written_schema: Some(written.clone()),
        schema: Some(Schema::read(written)),
    }
}

fn columns(listed: &Value) -> Vec<Column> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() {
        return vec![super::native::age()];
    }
    listed
        .iter()
        .map(|column| Column {
            name: text(&column["name"]),
            form: text(&column["type"]),
            source: Source::Path(text(&column["jsonPath"])),
            priority: u8::from(column["priority"].as_i64().is_some_and(|priority| priority > 0)),
        })
        .collect()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
