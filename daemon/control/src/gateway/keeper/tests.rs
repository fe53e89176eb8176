// SPDX-License-Identifier: Apache-2.0
//! Changes of objects, and what becomes of the programme.

use std::collections::BTreeSet;
use std::time::Instant;

use super::work::Done;
use super::*;
use crate::cache::Heard;
use crate::gateway::Side;
use crate::gateway::routes::Problem;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Objects of a small cluster.
struct Rig {
    caches: Caches,
    work: Work,
    settings: Settings,
    marks: Arc<Marks>,
    version: u64,
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

impl Rig {
    fn new() -> Self {
        let caches = Caches::default();
        let marks = Arc::new(Marks::default());
        listen(&caches, &marks);
        Self {
            work: Work::new(caches.clone()),
            caches,
            settings: Settings::of_cluster("cluster.local"),
            marks,
            version: 0,
        }
    }

    fn metadata(&mut self, name: &str, labels: &Value) -> Value {
        self.version += 1;
        json!({"name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": labels,
            "resourceVersion": self.version.to_string(), "generation": self.version,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"networking.knative.dev/ingress.class": "sluice.ingress.networking.knative.dev"}})
    }

    fn revision(&mut self, name: &str) {
        let metadata = self.metadata(name, &json!({"serving.knative.dev/service": "hello"}));
        let spec = json!({"containers": [{"name": "user-container"}], "timeoutSeconds": 300});
        self.caches
            .revisions
            .hear(Heard::Changed(read(json!({"metadata": metadata, "spec": spec}))));
    }

    fn services_of(&mut self, name: &str, mode: &str) {
        let metadata = self.metadata(name, &json!({}));
        let sks = json!({"metadata": metadata, "spec": {"mode": mode}});
        self.caches.serverless_services.hear(Heard::Changed(read(sks)));
    }

    fn pod(&mut self, name: &str, revision: &str, last: u8, is_ready: bool) {
        let labels = json!({"serving.knative.dev/revision": revision, "serving.knative.dev/revisionUID": format!("uid-{revision}")});
        let metadata = self.metadata(name, &labels);
        let ready = if is_ready { "True" } else { "False" };
        let status = json!({"phase": "Running", "podIP": format!("10.0.0.{last}"), "conditions": [{"type": "Ready", "status": ready}]});
        let pod = json!({"metadata": metadata, "spec": {"containers": []}, "status": status});
        self.caches.pods.hear(Heard::Changed(read(pod)));
    }

    fn placeholder(&mut self, name: &str, address: &str) {
        let metadata = self.metadata(name, &json!({"serving.knative.dev/route": name}));
        let spec = json!({"clusterIP": address, "ports": [{"name": "http", "port": 80}]});
        self.caches
            .kubernetes_services
            .hear(Heard::Changed(read(json!({"metadata": metadata, "spec": spec}))));
    }

    fn ingress(&mut self, name: &str, revision: &str) {
        let rules = json!([
            {"hosts": [format!("{name}.default.svc.cluster.local")], "visibility": "ClusterLocal", "http": paths(revision)},
            {"hosts": [format!("{name}.example.com")], "visibility": "ExternalIP", "http": paths(revision)},
        ]);
        self.ingress_with(name, &json!({ "rules": rules }));
    }

    fn ingress_with(&mut self, name: &str, spec: &Value) {
        let metadata = self.metadata(name, &json!({}));
        self.caches
            .ingresses
            .hear(Heard::Changed(read(json!({"metadata": metadata, "spec": spec}))));
    }

    fn settle(&mut self) -> Done {
        self.work.settle(self.marks.take(), &self.settings)
    }

    fn programme(&mut self) -> Programme {
        self.settle().programme.expect("something changed")
    }
}

fn paths(service: &str) -> Value {
    json!({"paths": [{"splits": [{"serviceNamespace": "default", "serviceName": service, "servicePort": 80, "percent": 100}]}]})
}

fn key(name: &str) -> Key {
    Key::new("default", name)
}

#[test]
fn a_pod_that_becomes_ready_touches_its_backend_and_its_addresses_only() {
    let mut rig = Rig::new();
    rig.revision("hello-00001");
    rig.services_of("hello-00001", "Serve");
    rig.placeholder("hello", "10.96.0.1");
    rig.ingress("hello", "hello-00001");
    let before = rig.programme();
    assert_eq!(before.targets.get(&key("hello")).unwrap().path.reason(), "NoPods");
    rig.pod("p", "hello-00001", 1, true);
    let after = rig.programme();
    assert_eq!(after.routes_version, before.routes_version);
    let changed: Vec<_> = after
        .backends
        .changes(&before.backends)
        .iter()
        .map(|(key, _)| (*key).clone())
        .collect();
    assert_eq!(changed, [key("hello-00001")]);
    assert!(after.targets.get(&key("hello")).unwrap().path.is_direct());
    assert!(after.version > before.version);
}

#[test]
fn nothing_is_published_for_what_changes_nothing() {
    let mut rig = Rig::new();
    rig.revision("hello-00001");
    rig.ingress("hello", "hello-00001");
    rig.programme();
    rig.revision("hello-00001");
    let done = rig.settle();
    assert!(done.programme.is_none() && done.standings.is_empty());
}

#[test]
fn an_ingress_stands_from_the_version_that_has_all_it_asks_for() {
    let mut rig = Rig::new();
    rig.ingress("hello", "hello-00001");
    let done = rig.settle();
    let standing = done.standings[0].1.clone().unwrap();
    assert_eq!(
        standing.problems,
        [Problem::NoBackend("default/hello-00001".to_owned())]
    );
    rig.revision("hello-00001");
    let done = rig.settle();
    let standing = done.standings[0].1.clone().unwrap();
    assert_eq!(standing.problems, []);
    assert_eq!(standing.version, done.programme.unwrap().version);
    rig.pod("p", "hello-00001", 1, true);
    assert!(rig.settle().standings.is_empty(), "it goes on to stand");
}

#[test]
fn a_domain_follows_the_route_that_it_leads_to() {
    let mut rig = Rig::new();
    rig.revision("hello-00001");
    rig.revision("hello-00002");
    rig.placeholder("hello", "10.96.0.1");
    let path = json!({"paths": [{"rewriteHost": "hello.default.svc.cluster.local", "splits": [
        {"serviceNamespace": "default", "serviceName": "hello", "servicePort": 80, "percent": 100}]}]});
    let rules = json!([{"hosts": ["shop.example.com"], "visibility": "ExternalIP", "http": path}]);
    rig.ingress_with("shop", &json!({ "rules": rules }));
    rig.programme();
    let backend = |programme: &Programme| {
        let rules = programme.routes.get(&key("shop")).unwrap();
        let paths = rules.public.iter().flat_map(|rule| &rule.paths);
        let services: BTreeSet<_> = paths
            .flat_map(|path| path.split.destinations())
            .map(|to| to.service.clone())
            .collect();
        services.into_iter().map(String::from).collect::<Vec<_>>()
    };
    rig.ingress("hello", "hello-00001");
    assert_eq!(backend(&rig.programme()), ["hello-00001"]);
    rig.ingress("hello", "hello-00002");
    assert_eq!(backend(&rig.programme()), ["hello-00002"]);
}

#[test]
fn ingresses_that_lead_to_each_other_come_to_an_end() {
    let mut rig = Rig::new();
    rig.placeholder("a", "10.96.0.1");
    rig.placeholder("b", "10.96.0.2");
    for (name, other) in [("a", "b"), ("b", "a")] {
        let host = format!("{name}.default.svc.cluster.local");
        let rules = json!([{"hosts": [host], "visibility": "ClusterLocal", "http": paths(other)}]);
        rig.ingress_with(name, &json!({ "rules": rules }));
    }
    rig.settle();
    assert_eq!(rig.settle().standings, []);
}

#[test]
fn a_service_of_somebody_else_is_followed_while_it_is_used() {
    let mut rig = Rig::new();
    let metadata = rig.metadata("app", &json!({}));
    let service =
        json!({"metadata": metadata, "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80}]}});
    rig.caches.kubernetes_services.hear(Heard::Changed(read(service)));
    let slice = |rig: &mut Rig, ip: &str| {
        let metadata = rig.metadata("app-x", &json!({"kubernetes.io/service-name": "app"}));
        let slice = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": [{"addresses": [ip]}],
            "ports": [{"name": "http", "port": 8080}]});
        rig.caches.endpoint_slices.hear(Heard::Changed(read(slice)));
    };
    slice(&mut rig, "10.0.0.1");
    rig.ingress("hello", "app");
    let address = |programme: &Programme| {
        programme.backends.get(&key("app:80")).unwrap().pods[0]
            .address
            .to_string()
    };
    assert_eq!(address(&rig.programme()), "10.0.0.1:8080");
    slice(&mut rig, "10.0.0.2");
    assert_eq!(address(&rig.programme()), "10.0.0.2:8080");
    let gone = rig.caches.ingresses.get(&key("hello")).unwrap();
    rig.caches
        .ingresses
        .hear(Heard::Gone(api::ingress::Ingress::clone(&gone)));
    let programme = rig.programme();
    assert!(programme.backends.is_empty() && programme.routes.is_empty());
}

#[test]
fn a_certificate_is_shown_for_all_hosts_that_want_it_and_waited_for() {
    let mut rig = Rig::new();
    rig.revision("hello-00001");
    let tls = json!([{"hosts": ["a.example.com"], "secretName": "s"}]);
    let rules = json!([{"hosts": ["a.example.com"], "visibility": "ExternalIP", "http": paths("hello-00001")}]);
    rig.ingress_with("hello", &json!({"tls": tls, "rules": rules}));
    let standing = rig.settle().standings[0].1.clone().unwrap();
    assert_eq!(standing.problems, [Problem::NoCertificate(key("s"))]);
    let metadata = rig.metadata("s", &json!({}));
    let secret = json!({"metadata": metadata, "data": {"tls.crt": "Yw==", "tls.key": "aw=="}});
    rig.caches.secrets.hear(Heard::Changed(read(secret)));
    let done = rig.settle();
    assert_eq!(done.standings[0].1.as_ref().unwrap().problems, []);
    let certificate = done.programme.unwrap().certificates.get(&key("s")).cloned().unwrap();
    assert_eq!(*certificate.names, ["a.example.com".to_owned()]);
}

#[test]
fn the_same_objects_give_the_same_rules_in_whatever_order_they_came() {
    let build = |names: &[&str]| {
        let mut rig = Rig::new();
        for name in names {
            rig.version = 0;
            rig.revision(&format!("{name}-00001"));
            rig.version = 1;
            rig.ingress(name, &format!("{name}-00001"));
            rig.settle();
        }
        (
            rig.work.programme_of_tests().rules(Side::Private),
            rig.work.programme_of_tests().rules(Side::Public),
        )
    };
    assert_eq!(build(&["a", "b", "c"]), build(&["c", "a", "b"]));
}

#[test]
fn a_change_of_one_revision_costs_the_same_among_five_thousand() {
    let mut rig = Rig::new();
    for index in 0..5000 {
        let name = format!("s{index}");
        rig.revision(&format!("{name}-00001"));
        rig.placeholder(&name, &format!("10.{}.{}.1", index / 250, index % 250));
        rig.ingress(&name, &format!("{name}-00001"));
    }
    let begun = Instant::now();
    let mut before = rig.programme();
    let all = begun.elapsed();
    assert_eq!((before.routes.len(), before.targets.len()), (5000, 5000));
    let begun = Instant::now();
    for round in 0..100 {
        rig.pod("p", "s77-00001", 1, round % 2 == 0);
        let after = rig.programme();
        assert_eq!(after.routes_version, before.routes_version);
        assert_eq!(after.backends.changes(&before.backends).len(), 1);
        before = after;
    }
    let each = begun.elapsed() / 100;
    println!("all: {all:?}; one of them: {each:?}");
    assert!(each * 100 < all, "{each:?} is not much less than {all:?}");
}

#[test]
fn an_ingress_waits_for_its_newest_version_only_however_long_no_gateway_runs_any() {
    let gateway = Gateway::default();
    let standing = |version| Standing {
        version,
        uid: "u".to_owned(),
        generation: 1,
        problems: Vec::new(),
    };
    for version in 1..=1_000 {
        let both = ["a", "b"].map(|name| (key(name), Some(standing(version))));
        gateway.publish(Programme::default(), both.into());
    }
    gateway.publish(Programme::default(), vec![(key("b"), None)]);
    let waiting = |gateway: &Gateway| gateway.shared.unconfirmed.lock().unwrap().len();
    assert_eq!(waiting(&gateway), 1);
    assert!(gateway.confirm(999).is_empty());
    assert_eq!(gateway.confirm(1_000), [key("a")]);
    assert_eq!(waiting(&gateway), 0);
}
