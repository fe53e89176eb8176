// SPDX-License-Identifier: Apache-2.0
//! Security contexts, and warnings about what is insecure when left out: control-plane spec 2.4.
//!
//! Depends on: allowed.

use k8s_openapi::api::core::v1::{PodSecurityContext, SeccompProfile, SecurityContext};
use logic::settings::Features;

use super::allowed;
use crate::field_error::FieldErrors;

const INSECURE: &str = "Kubernetes default value is insecure, Knative may default this to secure in a future release";

pub(super) fn of_pod(context: Option<&PodSecurityContext>, features: &Features) -> FieldErrors {
    let Some(context) = context else {
        return FieldErrors::none();
    };
    let mut errors = allowed::pod_security_context(context, features);
    errors.add(id(context.run_as_user, "runAsUser"));
    errors.add(id(context.run_as_group, "runAsGroup"));
    errors.add(id(context.fs_group, "fsGroup"));
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        errors.add(id(Some(*group), "").via_field_index("supplementalGroups", index));
    }
    errors
}

pub(super) fn of_container(context: &SecurityContext, features: &Features) -> FieldErrors {
    let mut errors = allowed::security_context(context, features);
    if let Some(capabilities) = &context.capabilities {
        errors.add(allowed::capabilities(capabilities, features).via_field("capabilities"));
    }
    errors.add(id(context.run_as_user, "runAsUser"));
    errors.add(id(context.run_as_group, "runAsGroup"));
    errors
}

/// A user or a group.
fn id(value: Option<i64>, field: &str) -> FieldErrors {
    match value {
        Some(value) if !(0..=i64::from(i32::MAX)).contains(&value) => {
            FieldErrors::out_of_bounds(value, 0, i32::MAX, field)
        }
        _ => FieldErrors::none(),
    }
}

/// What is left out and insecure then; nothing where the cluster makes it secure.
pub(super) fn insecure_defaults(
    pod: Option<&PodSecurityContext>,
    container: Option<&SecurityContext>,
    features: &Features,
) -> FieldErrors {
    if allowed::is_secure_by_default(features) {
        return FieldErrors::none();
    }
    let (no_pod, no_container) = (PodSecurityContext::default(), SecurityContext::default());
    let (pod, container) = (pod.unwrap_or(&no_pod), container.unwrap_or(&no_container));
    let mut insecure = Vec::new();
    if pod.run_as_non_root.is_none() && container.run_as_non_root.is_none() {
        insecure.push("runAsNonRoot");
    }
    if container.allow_privilege_escalation.is_none() {
        insecure.push("allowPrivilegeEscalation");
    }
    let profiles = [&pod.seccomp_profile, &container.seccomp_profile];
    if profiles.iter().all(|profile| profile.is_none()) {
        insecure.push("seccompProfile");
    } else if profiles.into_iter().flatten().all(says_nothing) {
        insecure.push("seccompProfile.type");
    }
    let dropped = container
        .capabilities
        .as_ref()
        .map(|capabilities| capabilities.drop.as_deref());
    match dropped {
        None => insecure.push("capabilities"),
        Some(None) => insecure.push("capabilities.drop"),
        _ => {}
    }
    let mut warnings = insecure
        .into_iter()
        .map(|field| FieldErrors::generic(INSECURE, field))
        .fold(FieldErrors::none(), FieldErrors::also);
    if dropped
        .flatten()
        .and_then(<[String]>::first)
        .is_some_and(|first| first == "all")
    {
        let found = FieldErrors::invalid_value("all", "capabilities.drop");
        warnings.add(found.with_details("Must be spelled as 'ALL'"));
    }
    warnings.as_warning()
}

fn says_nothing(profile: &SeccompProfile) -> bool {
    profile.type_.is_empty()
}
