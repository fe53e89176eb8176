// SPDX-License-Identifier: Apache-2.0
//! Which labels a setting is for.
//!
//! Depends on: go, syntax, yaml.

use super::yaml::{self, Object, YamlError};
use crate::go::print::quoted;
use crate::syntax;
use std::collections::BTreeMap;

/// Labels an object must have, each with this value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, String>);

impl Labels {
    /// Whether an object with `labels` has all of them.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Why the first wrong one of these is no label to select by, as Kubernetes says it.
    pub(super) fn problem(&self) -> Option<String> {
        self.0.iter().find_map(|(key, value)| {
            let of_key = invalid("key", key, &syntax::qualified_name(key));
            let of_value = invalid(&format!("values[0][{key}]"), value, &syntax::label_value(value));
            match (of_key, of_value) {
                (Some(of_key), Some(of_value)) => Some(format!("[{of_key}, {of_value}]")),
                (of_key, of_value) => of_key.or(of_value),
            }
        })
    }
}

/// Nothing if there are no problems.
fn invalid(field: &str, value: &str, problems: &[String]) -> Option<String> {
    let why = problems.join("; ");
    (!problems.is_empty()).then(|| format!("{field}: Invalid value: {}: {why}", quoted(value)))
}

/// Among named selectors that match, the most specific; of equal ones the smallest name.
pub(super) fn most_specific<'a>(
    selectors: impl Iterator<Item = (&'a str, &'a Labels)>,
    labels: &BTreeMap<String, String>,
) -> Option<&'a str> {
    selectors
        .filter(|(_, selector)| selector.matches(labels))
        .min_by_key(|(name, selector)| (std::cmp::Reverse(selector.0.len()), *name))
        .map(|(name, _)| name)
}

/// A Kubernetes LabelSelector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Labels with one value.
    pub match_labels: BTreeMap<String, String>,
    /// Labels with conditions.
    pub match_expressions: Vec<Requirement>,
}

/// A condition on a label; the operator is not judged here, as in Knative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// What `In` and `NotIn` compare with.
    pub values: Vec<String>,
}

impl LabelSelector {
    /// Reads YAML; nothing if it is null.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, YamlError> {
        let document = yaml::document(text)?;
        if document.is_null() {
            return Ok(None);
        }
        let object = Object::of(&document, "v1.LabelSelector")?;
        let match_expressions = object
            .objects("matchExpressions", "v1.LabelSelectorRequirement")?
            .iter()
            .map(|requirement| {
                Ok(Requirement {
                    key: requirement.text("key")?.unwrap_or_default(),
                    operator: requirement.text("operator")?.unwrap_or_default(),
                    values: requirement.list("values")?,
                })
            })
            .collect::<Result<_, YamlError>>()?;
        Ok(Some(Self {
            match_labels: object.texts("matchLabels")?,
            match_expressions,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_value_may_both_be_wrong() {
        let problem = |key: &str, value: &str| Labels([(key.to_owned(), value.to_owned())].into()).problem();
        assert_eq!(problem("a", "b"), None);
        let both = problem("-", "!").unwrap_or_default();
        assert!(both.starts_with("[key: Invalid value: \"-\": "), "{both}");
        assert!(
            both.contains(", values[0][-]: Invalid value: \"!\": ") && both.ends_with(']'),
            "{both}"
        );
    }
}
