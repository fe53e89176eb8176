// SPDX-License-Identifier: Apache-2.0
//! What is filled in, and what is not touched.

use std::collections::BTreeSet;

use super::*;
use crate::key::Key;
use crate::moment::Moment;
use crate::resource;
use crate::store::Store;

struct World {
    store: Store,
    moment: Moment,
}

impl World {
    fn new(range: &str) -> Self {
        let mut store = Store::new(10);
        store.set_range(range.parse().unwrap());
        let moment = Moment {
            now: k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
            random: fastrand::Rng::with_seed(7),
        };
        Self { store, moment }
    }

    /// Fills in a Service, and stores it if it may be.
    fn put(&mut self, name: &str, spec: &Value) -> Result<Value, Refusal> {
        let services = resource::find("", "v1", "services").unwrap();
        let key = Key::new(services, "n", name);
        let mut object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec});
        let mut transaction = self.store.begin(&mut self.moment);
        let old = transaction.get(&key);
        fill(&mut transaction, services, old.as_deref(), &mut object)?;
        transaction.put(key, object.clone());
        let events = transaction.finish();
        self.store.commit(events);
        Ok(object)
    }

    fn remove(&mut self, name: &str) {
        let key = Key::new(resource::find("", "v1", "services").unwrap(), "n", name);
        let mut transaction = self.store.begin(&mut self.moment);
        transaction.remove(&key).unwrap();
        let events = transaction.finish();
        self.store.commit(events);
    }
}

fn ports() -> Value {
    json!([{"port": 80}])
}

#[test]
fn no_two_services_have_the_same_address_and_a_full_range_says_so() {
    let mut world = World::new("10.0.0.0/24");
    let mut taken = BTreeSet::new();
    for count in 0..239 {
        let made = world.put(&format!("s{count}"), &json!({"ports": ports()})).unwrap();
        let address = made["spec"]["clusterIP"].as_str().unwrap().to_owned();
        assert_eq!(made["spec"]["clusterIPs"], json!([address]));
        assert!(taken.insert(address.clone()), "{address} is given twice");
    }
    let refused = world.put("more", &json!({"ports": ports()})).unwrap_err();
    assert!(refused.to_string().contains("range is full"), "{refused}");
    world.remove("s17");
    world.put("more", &json!({"ports": ports()})).unwrap();
}

#[test]
fn a_service_keeps_its_address_until_it_becomes_a_name() {
    let mut world = World::new("10.0.0.0/24");
    let first = world
        .put("a", &json!({"ports": ports(), "clusterIP": "10.0.0.77"}))
        .unwrap();
    assert_eq!(first["spec"]["clusterIP"], "10.0.0.77");
    let again = world.put("a", &json!({"ports": [{"port": 81}]})).unwrap();
    assert_eq!(again["spec"]["clusterIP"], "10.0.0.77");
    for (name, wanted, why) in [
        ("a", "10.0.0.78", "may not change once set"),
        ("b", "10.0.0.77", "already allocated"),
        ("b", "10.0.1.1", "not in the valid range"),
        ("b", "x", "not in the valid range"),
    ] {
        let refused = world
            .put(name, &json!({"ports": ports(), "clusterIP": wanted}))
            .unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let named =
        json!({"type": "ExternalName", "externalName": "e", "clusterIP": "10.0.0.77", "clusterIPs": ["10.0.0.77"]});
    let named = world.put("a", &named).unwrap();
    assert!(named["spec"]["clusterIP"].is_null(), "{named}");
    world
        .put("b", &json!({"ports": ports(), "clusterIP": "10.0.0.77"}))
        .unwrap();
}

#[test]
fn a_headless_service_takes_no_address() {
    let mut world = World::new("10.0.0.0/24");
    let made = world.put("a", &json!({"clusterIP": "None"})).unwrap();
    assert_eq!(made["spec"]["clusterIPs"], json!(["None"]));
    assert!(world.store.service_at("None").is_none());
}

#[test]
fn filling_in_twice_is_filling_in_once() {
    let mut world = World::new("10.0.0.0/24");
    let container = json!({
        "name": "c", "image": "i", "ports": [{"containerPort": 1}], "readinessProbe": {"httpGet": {"port": 1}, "periodSeconds": 0},
        "resources": {"limits": {"cpu": "1"}},
    });
    let spec = json!({"containers": [container], "volumes": [{"name": "v"}, {"name": "w", "secret": {}}]});
    let mut pod = json!({"metadata": {"name": "p"}, "spec": spec});
    let mut transaction = world.store.begin(&mut world.moment);
    let pods = resource::find("", "v1", "pods").unwrap();
    fill(&mut transaction, pods, None, &mut pod).unwrap();
    let filled = &pod["spec"]["containers"][0];
    assert_eq!(filled["imagePullPolicy"], "Always");
    assert_eq!(filled["resources"]["requests"], json!({"cpu": "1"}));
    assert_eq!(filled["readinessProbe"]["periodSeconds"], 10);
    assert_eq!(pod["spec"]["volumes"][0]["emptyDir"], json!({}));
    assert_eq!(first_status(pods, &pod).unwrap()["qosClass"], "Burstable");
    let once = pod.clone();
    fill(&mut transaction, pods, Some(&once), &mut pod).unwrap();
    assert_eq!(pod, once);
}

#[test]
fn ranges_are_read_and_written() {
    for text in ["10.96.0.0/16", "192.168.0.0/24", "10.0.0.0/8"] {
        assert_eq!(text.parse::<crate::store::Range>().unwrap().to_string(), text);
    }
    for text in ["", "10.0.0.0", "10.0.0.0/30", "10.0.0.0/x", "::/16", "10.0.0/16"] {
        assert!(text.parse::<crate::store::Range>().is_err(), "{text}");
    }
}
