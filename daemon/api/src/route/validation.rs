// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a Route, or with the traffic of a Service: control-plane spec 2.3.
//!
//! Depends on: annotation, metadata, syntax.

use std::collections::BTreeMap;

use logic::go::print::quoted;

use super::{Route, TrafficTarget};
use crate::admitted::Validate;
use crate::annotation;
use crate::context::Context;
use crate::field_error::FieldErrors;
use crate::metadata;
use crate::names::serving;
use logic::syntax;

impl Validate for Route {
    fn validate(&self, old: Option<&Self>, _: &Context) -> FieldErrors {
        let rollout = annotation::rollout_duration(metadata::annotations(&self.metadata));
        let of_metadata = metadata::of_parent(&self.metadata)
            .also(rollout.via_field("annotations"))
            .also(metadata::owner_label(&self.metadata, serving::SERVICE, "Service"));
        let mut errors = of_metadata.via_field("metadata");
        errors.add(
            traffic(&self.spec.traffic, false)
                .via_field("traffic")
                .via_field("spec"),
        );
        if let Some(old) = old
            && metadata::is_unowned(&self.metadata)
        {
            let found = metadata::signatures(&old.metadata, &self.metadata, old.spec != self.spec);
            errors.add(found.via_field("metadata.annotations"));
        }
        errors
    }
}

/// A list of targets; `has_configuration`: it is a Service's, which follows its own Configuration.
pub(crate) fn traffic(targets: &[TrafficTarget], has_configuration: bool) -> FieldErrors {
    let mut errors = FieldErrors::none();
    let mut first_with_tag = BTreeMap::new();
    for (index, target) in targets.iter().enumerate() {
        errors.add(self::target(target, has_configuration).via_index(index));
        let tag = target.tag.as_str();
        if tag.is_empty() {
            continue;
        }
        let problems = syntax::dns1035_label(tag);
        if !problems.is_empty() {
            // Knative's path has the field before the index.
            let why = format!("not a DNS 1035 label: {}", syntax::listed(&problems));
            errors.add(FieldErrors::invalid_value(why, format!("tag[{index}]")));
        }
        if let Some(first) = first_with_tag.get(tag) {
            let message = format!("Multiple definitions for {}", quoted(tag));
            errors.add(FieldErrors::at(
                message,
                [format!("[{index}].tag"), format!("[{first}].tag")],
            ));
        } else {
            first_with_tag.insert(tag, index);
        }
    }
    let sum = targets
        .iter()
        .map(|target| target.percent.unwrap_or_default())
        .fold(0, i64::wrapping_add);
    if sum != 100 {
        errors.add(FieldErrors::generic(
            format!("Traffic targets sum to {sum}, want 100"),
            "",
        ));
    }
    errors
}

fn target(target: &TrafficTarget, has_configuration: bool) -> FieldErrors {
    let (revision, configuration) = (target.revision_name.as_str(), target.configuration_name.as_str());
    let mut errors = FieldErrors::none();
    if let Some(latest) = target.latest_revision
        && latest != revision.is_empty()
    {
        let message = format!(
            "may not set revisionName {} when latestRevision is {latest}",
            quoted(revision)
        );
        errors.add(FieldErrors::generic(message, "latestRevision"));
    }
    errors.add(match (revision, configuration) {
        (_, configuration) if has_configuration && !configuration.is_empty() => {
            FieldErrors::disallowed(["configurationName"])
        }
        ("", "") if has_configuration => FieldErrors::none(),
        ("", "") => FieldErrors::missing_one_of(["revisionName", "configurationName"]),
        (revision, "") => qualified(revision, "revisionName"),
        ("", configuration) => qualified(configuration, "configurationName"),
        _ => FieldErrors::multiple_one_of(["revisionName", "configurationName"]),
    });
    if let Some(percent) = target.percent.filter(|percent| !(0..=100).contains(percent)) {
        errors.add(FieldErrors::out_of_bounds(percent, 0, 100, "percent"));
    }
    if target.url.as_deref().is_some_and(|url| !url.is_empty()) {
        errors.add(FieldErrors::disallowed(["url"]));
    }
    errors
}

fn qualified(name: &str, field: &str) -> FieldErrors {
    let problems = syntax::qualified_name(name);
    match problems.is_empty() {
        true => FieldErrors::none(),
        false => FieldErrors::invalid_key(name, field).with_details(problems.join(", ")),
    }
}
