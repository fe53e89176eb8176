// SPDX-License-Identifier: Apache-2.0
//! The controllers at work on a state; the tests play the node.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::part::Part;
use crate::resource::{self, Resource};
use crate::verbs::{self, Caller, DeleteOptions, Unknown};

struct World {
    state: Arc<State>,
    tasks: Tasks,
    settings: api::context::Settings,
}

fn find(group: &str, plural: &str) -> &'static Resource {
    resource::find(group, "v1", plural).unwrap()
}

fn pods() -> &'static Resource {
    find("", "pods")
}

fn sets() -> &'static Resource {
    find("apps", "replicasets")
}

fn deployments() -> &'static Resource {
    find("apps", "deployments")
}

impl World {
    fn new() -> Self {
        let world = Self {
            state: Arc::new(State::in_memory()),
            tasks: Tasks::new(),
            settings: api::context::Settings::default(),
        };
        drop(run(&world.state, Settings::default(), &world.tasks).unwrap());
        world
    }

    fn caller(&self) -> Caller<'_> {
        Caller {
            settings: &self.settings,
            user: "u",
            manager: "m",
            has_booked: false,
            unknown: Unknown::Told,
        }
    }

    fn create(&self, resource: &'static Resource, object: Value) {
        let made = self.state.write(&mut Moment::current(), false, |transaction| {
            verbs::create(transaction, resource, "default", object, &self.caller())
        });
        made.unwrap();
    }

    fn change(&self, resource: &'static Resource, name: &str, part: Part, change: impl Fn(&mut Value)) {
        let key = Key::new(resource, "default", name);
        let changed = self.state.write(&mut Moment::current(), false, |transaction| {
            let mut next = Value::clone(&transaction.get(&key).unwrap());
            change(&mut next);
            verbs::update(transaction, &key, part, next, &self.caller())
        });
        changed.unwrap();
    }

    fn delete(&self, resource: &'static Resource, name: &str, grace: Option<i64>) {
        let key = Key::new(resource, "default", name);
        let options = DeleteOptions {
            grace,
            ..DeleteOptions::default()
        };
        let deleted = self.state.write(&mut Moment::current(), false, |transaction| {
            verbs::delete(transaction, &key, &options)
        });
        deleted.unwrap();
    }

    fn list(&self, resource: &'static Resource) -> Vec<Value> {
        self.state.read(|store| {
            let listed = store.list(resource, Some("default"));
            listed.map(|(_, object)| Value::clone(&object)).collect()
        })
    }

    fn get(&self, resource: &'static Resource, name: &str) -> Value {
        let key = Key::new(resource, "default", name);
        self.state
            .read(|store| store.get(&key).map(|found| Value::clone(&found)).unwrap_or_default())
    }

    /// Waits until something holds; meanwhile the node lets go of what is deleted.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let shown: Vec<_> = [deployments(), sets(), pods()]
            .map(|kind| self.list(kind))
            .into_iter()
            .flatten()
            .collect();
        panic!("{what}: {shown:#?}");
    }

    /// Makes every pod ready that is not, and ends those that are deleted.
    fn play_node(&self) {
        for (place, pod) in self.list(pods()).into_iter().enumerate() {
            if meta::is_deleting(&pod) {
                self.delete(pods(), meta::name(&pod), Some(0));
            } else if pod["status"]["podIP"].is_null() {
                self.ready(meta::name(&pod), &format!("10.244.0.{}", place + 1));
            }
        }
    }

    fn ready(&self, name: &str, address: &str) {
        let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        self.change(pods(), name, Part::Status, |pod| {
            pod["status"] = json!({"phase": "Running", "podIP": address, "conditions": [condition]});
        });
    }

    fn status(&self, name: &str) -> Value {
        self.get(deployments(), name)["status"].clone()
    }

    fn reason(&self, name: &str, kind: &str) -> String {
        let deployment = self.get(deployments(), name);
        let found = conditions::find(&deployment, kind).map(|found| found["reason"].as_str().unwrap_or_default());
        found.unwrap_or_default().to_owned()
    }
}

fn deployment(name: &str, replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": image, "ports": [{"name": "web", "containerPort": 8080}]}]},
            },
        },
    })
}

#[tokio::test]
async fn a_deployment_becomes_pods_and_is_available_when_they_are_ready() {
    let world = World::new();
    world.create(deployments(), deployment("d", 3, "i"));
    world.until("three pods", |world| world.list(pods()).len() == 3).await;
    world.until("status", |world| world.status("d")["replicas"] == 3).await;
    assert_eq!(world.reason("d", "Available"), "MinimumReplicasUnavailable");
    let set = world.list(sets()).remove(0);
    let hash = set["metadata"]["labels"]["pod-template-hash"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(meta::name(&set), format!("d-{hash}"));
    for pod in world.list(pods()) {
        assert_eq!(
            pod["metadata"]["labels"],
            json!({"app": "d", "pod-template-hash": hash})
        );
        assert_eq!(pod["spec"]["nodeName"], "sluice");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], format!("d-{hash}"));
    }
    world.play_node();
    world
        .until("available", |world| world.status("d")["availableReplicas"] == 3)
        .await;
    world
        .until("done", |world| {
            world.reason("d", "Progressing") == "NewReplicaSetAvailable"
        })
        .await;
    assert_eq!(world.reason("d", "Available"), "MinimumReplicasAvailable");
    assert_eq!(world.status("d")["observedGeneration"], 1);
}

#[tokio::test]
async fn a_new_template_rolls_and_an_old_one_comes_back() {
    let world = World::new();
    world.create(deployments(), deployment("d", 2, "one"));
    world.until("pods", |world| world.list(pods()).len() == 2).await;
    world.play_node();
    world
        .until("available", |world| world.status("d")["availableReplicas"] == 2)
        .await;
    for (image, revision) in [("two", "2"), ("one", "3")] {
        world.change(deployments(), "d", Part::Whole, |deployment| {
            deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
        });
        world
            .until("rolled", |world| {
                world.play_node();
                let current = world.list(pods());
                let is_new = |pod: &Value| pod["spec"]["containers"][0]["image"] == image;
                current.len() == 2
                    && current.iter().all(is_new)
                    && world.reason("d", "Progressing") == "NewReplicaSetAvailable"
                    && world.status("d")["observedGeneration"]
                        == world.get(deployments(), "d")["metadata"]["generation"]
            })
            .await;
        let noted = &world.get(deployments(), "d")["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
        assert_eq!(noted, revision);
    }
    assert_eq!(world.list(sets()).len(), 2);
}

#[tokio::test]
async fn history_is_limited() {
    let world = World::new();
    let mut first = deployment("d", 0, "i0");
    first["spec"]["revisionHistoryLimit"] = 1.into();
    world.create(deployments(), first);
    for count in 1..4 {
        world.change(deployments(), "d", Part::Whole, |deployment| {
            deployment["spec"]["template"]["spec"]["containers"][0]["image"] = format!("i{count}").into();
        });
        let has = |world: &World| {
            world
                .list(sets())
                .iter()
                .any(|set| set["spec"]["template"]["spec"]["containers"][0]["image"] == format!("i{count}"))
        };
        world.until("a set", has).await;
    }
    world.until("two sets", |world| world.list(sets()).len() == 2).await;
}

#[tokio::test]
async fn scaling_down_takes_the_cheapest_and_a_failed_pod_is_replaced() {
    let world = World::new();
    world.create(deployments(), deployment("d", 3, "i"));
    world.until("pods", |world| world.list(pods()).len() == 3).await;
    world.play_node();
    let names: Vec<String> = world
        .list(pods())
        .iter()
        .map(|pod| meta::name(pod).to_owned())
        .collect();
    world.change(pods(), &names[1], Part::Whole, |pod| {
        pod["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": "-10"});
    });
    world.change(deployments(), "d", Part::Whole, |deployment| {
        deployment["spec"]["replicas"] = 2.into()
    });
    world
        .until("one goes", |world| meta::is_deleting(&world.get(pods(), &names[1])))
        .await;
    world.play_node();
    world.until("two stay", |world| world.list(pods()).len() == 2).await;
    world.change(pods(), &names[0], Part::Status, |pod| {
        pod["status"]["phase"] = "Failed".into()
    });
    world.until("replaced", |world| world.list(pods()).len() == 3).await;
    world.delete(deployments(), "d", None);
    world
        .until("all go", |world| {
            world.play_node();
            world.list(pods()).is_empty() && world.list(sets()).is_empty()
        })
        .await;
}

#[tokio::test]
async fn a_pod_with_other_labels_is_let_go_and_replaced() {
    let world = World::new();
    world.create(deployments(), deployment("d", 1, "i"));
    world.until("a pod", |world| world.list(pods()).len() == 1).await;
    let name = meta::name(&world.list(pods())[0]).to_owned();
    world.change(pods(), &name, Part::Whole, |pod| {
        pod["metadata"]["labels"] = json!({"app": "x"})
    });
    world.until("another", |world| world.list(pods()).len() == 2).await;
    assert!(meta::owners(&world.get(pods(), &name)).is_empty());
}

#[tokio::test]
async fn a_rollout_that_is_late_says_so() {
    let world = World::new();
    let mut late = deployment("d", 1, "i");
    late["spec"]["progressDeadlineSeconds"] = 1.into();
    world.create(deployments(), late);
    world
        .until("late", |world| {
            world.reason("d", "Progressing") == "ProgressDeadlineExceeded"
        })
        .await;
    world.play_node();
    world
        .until("done after all", |world| {
            world.reason("d", "Progressing") == "NewReplicaSetAvailable"
        })
        .await;
}

#[tokio::test]
async fn what_the_api_refuses_is_the_failure_of_the_deployment() {
    let world = World::new();
    let mut refused = deployment("d", 1, "i");
    refused["spec"]["template"]["metadata"]["finalizers"] = json!(5);
    let made = world.state.write(&mut Moment::current(), false, |transaction| {
        verbs::create(transaction, deployments(), "default", refused, &world.caller())
    });
    assert_eq!(made.unwrap_err().code(), 400);
}

fn service(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn ready_pods_are_endpoints_of_the_services_that_select_them() {
    let world = World::new();
    let (slices, endpoints) = (find("discovery.k8s.io", "endpointslices"), find("", "endpoints"));
    let port = json!([{"name": "http", "port": 80, "targetPort": "web"}]);
    world.create(
        find("", "services"),
        service("s", &json!({"selector": {"app": "d"}, "ports": port})),
    );
    world.create(find("", "services"), service("bare", &json!({"ports": port})));
    world.create(deployments(), deployment("d", 2, "i"));
    world.until("pods", |world| world.list(pods()).len() == 2).await;
    world
        .until("an empty slice", |world| world.list(slices).len() == 1)
        .await;
    let names: Vec<String> = world
        .list(pods())
        .iter()
        .map(|pod| meta::name(pod).to_owned())
        .collect();
    world.ready(&names[0], "10.244.0.1");
    world
        .until("one endpoint", |world| {
            world.list(slices)[0]["endpoints"][0]["conditions"]["ready"] == true
        })
        .await;
    let slice = world.list(slices).remove(0);
    assert_eq!(slice["endpoints"][0]["addresses"], json!(["10.244.0.1"]));
    assert_eq!(
        slice["ports"],
        json!([{"name": "http", "port": 8080, "protocol": "TCP"}])
    );
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "s");
    world
        .until("endpoints", |world| {
            world.get(endpoints, "s")["subsets"][0]["addresses"][0]["ip"] == "10.244.0.1"
        })
        .await;
    world.delete(pods(), &names[0], None);
    world
        .until("ending", |world| {
            world.list(slices)[0]["endpoints"][0]["conditions"]["terminating"] == true
        })
        .await;
    let conditions = &world.list(slices)[0]["endpoints"][0]["conditions"];
    assert_eq!(
        *conditions,
        json!({"ready": false, "serving": true, "terminating": true})
    );
    world.delete(find("", "services"), "s", None);
    world
        .until("nothing", |world| {
            world.list(slices).is_empty() && world.list(endpoints).is_empty()
        })
        .await;
}

#[tokio::test]
async fn a_pod_without_a_node_gets_one_and_every_namespace_an_account() {
    let world = World::new();
    world.create(
        pods(),
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
    );
    world
        .until("a node", |world| world.get(pods(), "p")["spec"]["nodeName"] == "sluice")
        .await;
    let namespace = json!({"metadata": {"name": "n"}});
    let made = world.state.write(&mut Moment::current(), false, |transaction| {
        verbs::create(transaction, find("", "namespaces"), "", namespace, &world.caller())
    });
    made.unwrap();
    let account = Key::new(find("", "serviceaccounts"), "n", "default");
    world
        .until("an account", |world| {
            world.state.read(|store| store.get(&account).is_some())
        })
        .await;
}

#[test]
fn what_is_there_from_the_start_is_made_once() {
    let state = State::in_memory();
    drop(furnish::furnish(&state, &Settings::default()).unwrap());
    let maps = find("", "configmaps");
    let gc = Key::new(maps, "knative-serving", "config-gc");
    let stored = state.read(|store| store.get(&gc)).unwrap();
    assert!(stored["data"]["_example"].is_string());
    drop(furnish::furnish(&state, &Settings::default()).unwrap());
    assert_eq!(state.read(|store| store.get(&gc)).unwrap(), stored);
    assert_eq!(state.read(|store| store.list(maps, None).count()), 11);
}
