// SPDX-License-Identifier: Apache-2.0
//! What is wrong with an Ingress: control-plane spec 2.3.
//!
//! Knative panics on a rule without `http`; here it is a missing field.
//! Depends on: field_error.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{HttpIngressPath, Ingress, IngressBackendSplit, IngressRule, IngressSpec, IngressTls};
use crate::admitted::Validate;
use crate::context::Context;
use crate::field_error::FieldErrors;

impl Validate for Ingress {
    fn validate(&self, _: Option<&Self>, _: &Context) -> FieldErrors {
        spec(&self.spec, self.namespace()).via_field("spec")
    }
}

fn spec(spec: &IngressSpec, namespace: &str) -> FieldErrors {
    if *spec == IngressSpec::default() {
        return FieldErrors::missing([""]);
    }
    let mut errors = FieldErrors::none();
    if spec.rules.is_empty() {
        errors.add(FieldErrors::missing(["rules"]));
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        errors.add(self::rule(rule, namespace).via_field_index("rules", index));
    }
    for (index, tls) in spec.tls.iter().enumerate() {
        errors.add(self::tls(tls).via_field_index("tls", index));
    }
    if !matches!(spec.http_option.as_str(), "" | "Enabled" | "Redirected") {
        errors.add(FieldErrors::invalid_value(&spec.http_option, "httpOption"));
    }
    errors
}

fn rule(rule: &IngressRule, namespace: &str) -> FieldErrors {
    if *rule == IngressRule::default() {
        return FieldErrors::missing([""]);
    }
    let Some(http) = &rule.http else {
        return FieldErrors::missing(["http"]);
    };
    if http.paths.is_empty() {
        return FieldErrors::missing(["http.paths"]);
    }
    let mut errors = FieldErrors::none();
    for (index, path) in http.paths.iter().enumerate() {
        errors.add(
            self::path(path, namespace)
                .via_field_index("paths", index)
                .via_field("http"),
        );
    }
    errors
}

fn path(path: &HttpIngressPath, namespace: &str) -> FieldErrors {
    if *path == HttpIngressPath::default() {
        return FieldErrors::missing([""]);
    }
    if path.splits.is_empty() {
        return FieldErrors::missing(["splits"]);
    }
    // Knative says what is wrong with the first wrong one.
    let wrong = path.splits.iter().enumerate().find_map(|(index, split)| {
        let errors = self::split(split, namespace);
        (!errors.is_empty()).then(|| errors.via_field_index("splits", index))
    });
    if let Some(wrong) = wrong {
        return wrong;
    }
    let sum = path.splits.iter().map(|split| split.percent).fold(0, i64::wrapping_add);
    let is_all = sum == 100 || sum == 0 && path.splits.len() == 1;
    match is_all {
        true => FieldErrors::none(),
        false => FieldErrors::generic(
            format!("traffic split percentage must total to 100, but was {sum}"),
            "splits",
        ),
    }
}

fn split(split: &IngressBackendSplit, namespace: &str) -> FieldErrors {
    if *split == IngressBackendSplit::default() {
        return FieldErrors::missing([""]);
    }
    let mut errors = FieldErrors::none();
    if !(0..=100).contains(&split.percent) {
        errors.add(FieldErrors::invalid_value(split.percent, "percent"));
    }
    let has_no_port = split.service_port == IntOrString::Int(0);
    if split.service_namespace.is_empty() && split.service_name.is_empty() && has_no_port {
        return errors.also(FieldErrors::missing([""]));
    }
    if split.service_namespace.is_empty() {
        errors.add(FieldErrors::missing(["serviceNamespace"]));
    } else if split.service_namespace != namespace {
        let words = "service namespace must match ingress namespace";
        errors.add(FieldErrors::generic(words, "serviceNamespace"));
    }
    if split.service_name.is_empty() {
        errors.add(FieldErrors::missing(["serviceName"]));
    }
    if has_no_port {
        errors.add(FieldErrors::missing(["servicePort"]));
    }
    errors
}

fn tls(tls: &IngressTls) -> FieldErrors {
    if *tls == IngressTls::default() {
        return FieldErrors::missing([""]);
    }
    let required = [
        ("secretName", &tls.secret_name),
        ("secretNamespace", &tls.secret_namespace),
    ];
    let missing = required.into_iter().filter(|(_, value)| value.is_empty());
    missing
        .map(|(field, _)| FieldErrors::missing([field]))
        .fold(FieldErrors::none(), FieldErrors::also)
}
