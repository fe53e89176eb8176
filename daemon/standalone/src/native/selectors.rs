// SPDX-License-Identifier: Apache-2.0
//! Which Services a pod's labels concern, without looking at every Service.
//!
//! Mechanism: each Service is filed under one pair of its selector, the one that fewest others are filed under; a pod
//! looks under each of its own pairs.
//! Depends on: labels.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::labels;
use crate::meta;

/// A namespace and a pair of a label.
type Place = (String, String, String);

/// The Services with a selector.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    filed: HashMap<Place, BTreeSet<String>>,
    /// Where a Service, by namespace and name, is filed, and its selector.
    services: HashMap<(String, String), (Place, Value)>,
}

impl Selectors {
    /// A Service is new or another.
    pub(super) fn put(&mut self, service: &Value) {
        let (namespace, name) = (meta::namespace(service), meta::name(service));
        self.remove(namespace, name);
        let selector = &service["spec"]["selector"];
        let pairs = selector.as_object().into_iter().flatten();
        let places =
            pairs.filter_map(|(key, value)| Some((namespace.to_owned(), key.clone(), value.as_str()?.to_owned())));
        let rarest = places.min_by_key(|place| self.filed.get(place).map_or(0, BTreeSet::len));
        if let Some(place) = rarest {
            self.filed.entry(place.clone()).or_default().insert(name.to_owned());
            let own = (namespace.to_owned(), name.to_owned());
            self.services.insert(own, (place, selector.clone()));
        }
    }

    /// A Service is gone.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let own = (namespace.to_owned(), name.to_owned());
        let Some((place, _)) = self.services.remove(&own) else {
            return;
        };
        if let Some(names) = self.filed.get_mut(&place) {
            names.remove(name);
            if names.is_empty() {
                self.filed.remove(&place);
            }
        }
    }

    /// The names of the Services that select a pod.
    pub(super) fn of(&self, pod: &Value) -> Vec<String> {
        let namespace = meta::namespace(pod);
        let labels = &pod["metadata"]["labels"];
        let pairs = labels.as_object().into_iter().flatten();
        let filed = pairs.filter_map(|(key, value)| {
            let place = (namespace.to_owned(), key.clone(), value.as_str()?.to_owned());
            self.filed.get(&place)
        });
        let selects = |name: &&String| {
            let own = (namespace.to_owned(), (*name).clone());
            self.services
                .get(&own)
                .is_some_and(|(_, selector)| labels::has_all(labels, selector))
        };
        filed.flatten().filter(selects).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, selector: &Value) -> Value {
        json!({"metadata": {"namespace": "n", "name": name}, "spec": {"selector": selector}})
    }

    #[test]
    fn a_pod_finds_the_services_that_select_it() {
        let mut selectors = Selectors::default();
        let pod = json!({"metadata": {"namespace": "n", "labels": {"app": "a", "uid": "1"}}});
        selectors.put(&service("one", &json!({"app": "a"})));
        selectors.put(&service("two", &json!({"app": "a", "uid": "1"})));
        selectors.put(&service("other", &json!({"app": "a", "uid": "2"})));
        selectors.put(&service("none", &json!({})));
        assert_eq!(selectors.of(&pod), ["one", "two"]);
        selectors.put(&service("one", &json!({"app": "b"})));
        selectors.remove("n", "two");
        assert!(selectors.of(&pod).is_empty());
        selectors.put(&service("other", &json!({"uid": "1"})));
        assert_eq!(selectors.of(&pod), ["other"]);
    }
}
