// SPDX-License-Identifier: Apache-2.0
//! Which names objects may have.
//!
//! Depends on: refusal.

use crate::refusal::Refusal;
use crate::resource::Resource;

const LABEL: usize = 63;
const SUBDOMAIN: usize = 253;

/// Refuses a name that the resource may not have.
pub(super) fn check(resource: &'static Resource, name: &str) -> Result<(), Refusal> {
    let is_label = matches!((resource.group, resource.kind), ("", "Namespace" | "Service"));
    let (fault, limit) = if is_label {
        let text = if resource.kind == "Service" {
            DNS_1035
        } else {
            DNS_1123_LABEL
        };
        let starts = resource.kind != "Service" || name.starts_with(|letter: char| letter.is_ascii_lowercase());
        ((!is_label_text(name) || !starts).then_some(text), LABEL)
    } else {
        let is_fine = name.split('.').all(is_label_text);
        ((!is_fine).then_some(DNS_1123_SUBDOMAIN), SUBDOMAIN)
    };
    if name.len() > limit {
        return Err(refuse(resource, name, &format!("must be no more than {limit} bytes")));
    }
    fault.map_or(Ok(()), |text| Err(refuse(resource, name, text)))
}

fn refuse(resource: &'static Resource, name: &str, text: &str) -> Refusal {
    let detail = format!("Invalid value: \"{name}\": {text}");
    Refusal::invalid(resource, name, "FieldValueInvalid", "metadata.name", detail)
}

fn is_label_text(text: &str) -> bool {
    let is_end = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_inner = |letter: char| is_end(letter) || letter == '-';
    text.starts_with(is_end) && text.ends_with(is_end) && text.chars().all(is_inner)
}

const DNS_1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const DNS_1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
