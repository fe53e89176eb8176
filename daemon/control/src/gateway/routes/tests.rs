// SPDX-License-Identifier: Apache-2.0
//! Translations over a small world, asked as gateways ask.

use super::*;
use logic::traffic::{Draw, Headers, Request, Table};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Services by `namespace/name`, and the Ingresses translated so far.
#[derive(Default)]
struct Small {
    services: HashMap<&'static str, Found>,
    done: HashMap<Key, Arc<IngressRules>>,
    holders: HashMap<String, Key>,
}

impl World for Small {
    fn find(&self, service: &Key, _: &IntOrString) -> Found {
        let found = self.services.get(service.to_string().as_str());
        found.cloned().unwrap_or(Found::Nothing)
    }

    fn holder(&self, host: &str) -> Option<Key> {
        self.holders.get(host).cloned()
    }

    fn rules(&self, ingress: &Key) -> Option<Arc<IngressRules>> {
        self.done.get(ingress).cloned()
    }
}

impl Small {
    fn of(services: &[(&'static str, Found)]) -> Self {
        Self {
            services: services.iter().cloned().collect(),
            ..Self::default()
        }
    }

    fn take_in(&mut self, ingress: &Ingress) -> Translated {
        let translated = translate(ingress, self);
        let key = Key::of(&ingress.metadata);
        let hosts = hosts(ingress).into_iter().map(|host| (host, key.clone()));
        self.holders.extend(hosts);
        self.done.insert(key, Arc::new(translated.rules.clone()));
        translated
    }
}

fn backend(name: &str) -> Found {
    Found::Backend(Key::new("default", name))
}

fn ingress(name: &str, spec: &Value) -> Ingress {
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})).unwrap()
}

fn rule(visibility: &str, host: &str, paths: &Value) -> Value {
    json!({"hosts": [host], "visibility": visibility, "http": {"paths": paths}})
}

fn to(name: &str, percent: u32) -> Value {
    json!({"serviceNamespace": "default", "serviceName": name, "servicePort": 80, "percent": percent})
}

/// The headers of a request.
struct Pairs<'a>(&'a [(&'a str, &'a str)]);

impl Headers for Pairs<'_> {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.any(name, holds)
    }
}

/// Where a request goes: the backend, the host it sees, what is set.
fn asked(rules: &[Rule<Destination>], host: &str, path: &str, headers: &[(&str, &str)]) -> Option<Destination> {
    let (table, refused) = Table::build(rules.to_vec());
    assert_eq!(refused, []);
    let request = Request {
        host,
        path,
        headers: &Pairs(headers),
    };
    table.find(&request)?.pick(Draw::new(0)).cloned()
}

#[test]
fn hosts_are_known_on_their_side_only() {
    let mut world = Small::of(&[("default/hello-00001", backend("hello-00001"))]);
    let paths = json!([{"splits": [to("hello-00001", 100)]}]);
    let spec = json!({"rules": [
        rule("ClusterLocal", "hello.default.svc.cluster.local", &paths),
        rule("ExternalIP", "hello.default.example.com", &paths),
    ]});
    let rules = world.take_in(&ingress("hello", &spec)).rules;
    let outside = asked(&rules.public, "hello.default.example.com", "/", &[]).unwrap();
    assert_eq!(&*outside.service, "hello-00001");
    assert_eq!(asked(&rules.public, "hello.default.svc.cluster.local", "/", &[]), None);
    assert!(asked(&rules.private, "hello.default.svc.cluster.local", "/", &[]).is_some());
    let facts = &rules.facts["hello.default.svc.cluster.local"];
    assert_eq!(facts.only_revision(), Some("hello-00001"));
}

#[test]
fn a_probe_is_told_the_hash_and_nobody_else() {
    let mut world = Small::of(&[("default/hello-00001", backend("hello-00001"))]);
    let paths = json!([{"splits": [to("hello-00001", 100)], "appendHeaders": {"A": "b"}}]);
    let spec = json!({"rules": [rule("ExternalIP", "a.example.com", &paths)]});
    let ingress = ingress("hello", &spec);
    let rules = world.take_in(&ingress).rules;
    let hash = probe::hash(&ingress).unwrap();
    let probe = asked(&rules.public, "a.example.com", "/", &[("K-Network-Hash", "override")]).unwrap();
    assert!(
        probe
            .set_headers()
            .any(|(name, value)| name == "K-Network-Hash" && value == hash)
    );
    for headers in [&[][..], &[("K-Network-Hash", "other")][..]] {
        let other = asked(&rules.public, "a.example.com", "/", headers).unwrap();
        assert_eq!(other.set_headers().collect::<Vec<_>>(), [("A", "b")]);
    }
}

#[test]
fn a_domain_of_the_users_own_leads_through_the_route_in_one_hop() {
    let mut world = Small::of(&[
        ("default/hello-00001", backend("hello-00001")),
        (
            "default/hello",
            Found::Host("hello.default.svc.cluster.local".to_owned()),
        ),
    ]);
    let route = json!({"rules": [rule("ClusterLocal", "hello.default.svc.cluster.local", &json!([
        {"splits": [to("hello-00001", 100)], "headers": {"Knative-Serving-Tag": {"exact": "old"}}},
        {"splits": [{"serviceNamespace": "default", "serviceName": "hello-00001", "servicePort": 80, "percent": 100,
            "appendHeaders": {"Knative-Serving-Revision": "hello-00001"}}]},
    ]))]});
    world.take_in(&ingress("hello", &route));
    let mapping = ingress(
        "shop",
        &json!({"rules": [rule("ExternalIP", "shop.example.com", &json!([
            {"rewriteHost": "hello.default.svc.cluster.local",
             "splits": [{"serviceNamespace": "default", "serviceName": "hello", "servicePort": 80, "percent": 100,
                "appendHeaders": {"K-Original-Host": "shop.example.com"}}]},
        ]))]}),
    );
    let translated = world.take_in(&mapping);
    assert_eq!(translated.problems, []);
    assert_eq!(
        translated.hosts,
        BTreeSet::from(["hello.default.svc.cluster.local".to_owned()])
    );
    let rules = translated.rules.public;
    let destination = asked(&rules, "shop.example.com", "/", &[]).unwrap();
    assert_eq!(&*destination.service, "hello-00001");
    assert_eq!(destination.host.as_deref(), Some("hello.default.svc.cluster.local"));
    let set: BTreeMap<_, _> = destination.set_headers().collect();
    assert_eq!(set["K-Original-Host"], "shop.example.com");
    assert_eq!(set["Knative-Serving-Revision"], "hello-00001");
    let probed = asked(&rules, "shop.example.com", "/", &[("K-Network-Hash", "override")]).unwrap();
    let hash = probe::hash(&mapping).unwrap();
    assert!(
        probed.set_headers().any(|(_, value)| value == hash),
        "its own hash, not the route's"
    );
}

#[test]
fn what_is_not_there_is_named_and_the_rest_is_served() {
    let mut world = Small::of(&[("default/hello-00001", backend("hello-00001"))]);
    let spec = json!({"rules": [rule("ExternalIP", "a.example.com", &json!([
        {"path": "/new", "splits": [to("hello-00002", 100)]},
        {"splits": [to("hello-00001", 100)]},
    ]))]});
    let translated = world.take_in(&ingress("hello", &spec));
    assert_eq!(
        translated.problems,
        [Problem::NoBackend("default/hello-00002".to_owned())]
    );
    assert!(translated.problems[0].is_passing());
    assert!(
        translated.services.contains(&Key::new("default", "hello-00002")),
        "it is waited for"
    );
    assert!(asked(&translated.rules.public, "a.example.com", "/other", &[]).is_some());
}

#[test]
fn percents_must_sum_up_and_a_single_backend_needs_none() {
    let mut world = Small::of(&[("default/a", backend("a")), ("default/b", backend("b"))]);
    let spec = |paths: Value| json!({"rules": [rule("ExternalIP", "a.example.com", &paths)]});
    let wrong = world.take_in(&ingress("x", &spec(json!([{"splits": [to("a", 50), to("b", 40)]}]))));
    assert_eq!(wrong.problems, [Problem::NotPercents(90)]);
    let single = world.take_in(&ingress("x", &spec(json!([{"splits": [to("a", 0)]}]))));
    assert_eq!(single.problems, []);
}

#[test]
fn the_host_of_another_is_refused_by_name() {
    let mut world = Small::of(&[("default/a", backend("a"))]);
    let spec = json!({"rules": [rule("ExternalIP", "A.example.com", &json!([{"splits": [to("a", 100)]}]))]});
    world.take_in(&ingress("first", &spec));
    let second = world.take_in(&ingress("second", &spec));
    let taken = Problem::Taken {
        host: "a.example.com".to_owned(),
        holder: Key::new("default", "first"),
    };
    assert_eq!(second.problems, [taken]);
    assert!(second.rules.public[0].hosts.is_empty());
}

#[test]
fn only_hosts_with_a_certificate_are_redirected() {
    let mut world = Small::of(&[("default/a", backend("a"))]);
    let paths = json!([{"splits": [to("a", 100)]}]);
    let spec = json!({"httpOption": "Redirected", "tls": [{"hosts": ["a.example.com"], "secretName": "s"}], "rules": [
        rule("ExternalIP", "a.example.com", &paths), rule("ExternalIP", "b.example.com", &paths),
        rule("ClusterLocal", "a.default.svc.cluster.local", &paths),
    ]});
    let rules = world.take_in(&ingress("a", &spec)).rules;
    assert_eq!(rules.redirected, [Arc::from("a.example.com")]);
}

#[test]
fn a_host_that_no_request_could_have_is_not_rewritten_to() {
    let mut world = Small::of(&[("default/hello-00001", backend("hello-00001"))]);
    let paths = json!([{"splits": [to("hello-00001", 100)], "rewriteHost": "a\r\nX-Said: 1"}]);
    let spec = json!({"rules": [rule("ExternalIP", "a.example.com", &paths)]});
    let translated = world.take_in(&ingress("hello", &spec));
    assert_eq!(translated.problems, [Problem::NoHost("a\r\nX-Said: 1".to_owned())]);
    assert_eq!(asked(&translated.rules.public, "a.example.com", "/", &[]), None);
}
