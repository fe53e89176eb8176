// SPDX-License-Identifier: Apache-2.0
//! Paths by which an issuer of certificates asks for a proof: control-plane spec 4.7, 4.9.
//!
//! Invariants: a challenge that is asked at a rule's host stands in that rule, before its paths; any other has a rule of
//! its own.
//! Depends on: ingress (its types), certificate.

use super::list::List;
use super::{HttpIngressPath, HttpIngressRule, IngressBackendSplit, IngressRule};
use crate::certificate::Http01Challenge;
use crate::ingress::visibility;

/// The paths that answer the challenges asked at `host`.
#[must_use]
pub fn paths_for(challenges: &[Http01Challenge], host: &str) -> Vec<HttpIngressPath> {
    challenges
        .iter()
        .filter(|challenge| host_and_path(challenge).0 == host)
        .map(answering)
        .collect()
}

/// Rules for the challenges asked at hosts other than `host`, one a host, in the order in which the hosts appear.
#[must_use]
pub fn rules_beside(challenges: &[Http01Challenge], host: &str) -> Vec<IngressRule> {
    let mut rules: Vec<IngressRule> = Vec::new();
    for challenge in challenges {
        let (other, _) = host_and_path(challenge);
        if other == host || rules.iter().any(|rule| rule.hosts.iter().any(|known| known == other)) {
            continue;
        }
        rules.push(IngressRule {
            hosts: vec![other.to_owned()],
            visibility: visibility::EXTERNAL_IP.to_owned(),
            http: Some(HttpIngressRule {
                paths: paths_for(challenges, other).into(),
            }),
        });
    }
    rules
}

fn answering(challenge: &Http01Challenge) -> HttpIngressPath {
    HttpIngressPath {
        path: host_and_path(challenge).1.to_owned(),
        splits: List::from(vec![IngressBackendSplit {
            service_namespace: challenge.service_namespace.clone(),
            service_name: challenge.service_name.clone(),
            service_port: challenge.service_port.clone(),
            percent: 100,
            ..IngressBackendSplit::default()
        }]),
        ..HttpIngressPath::default()
    }
}

/// Host (with port) and path of the URL that is asked; empty where it has none.
pub(crate) fn host_and_path(challenge: &Http01Challenge) -> (&str, &str) {
    let url = challenge.url.as_deref().unwrap_or_default();
    let Some((_, rest)) = url.split_once("://") else {
        return ("", url);
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    rest.find('/')
        .and_then(|slash| rest.split_at_checked(slash))
        .unwrap_or((rest, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(url: &str) -> Http01Challenge {
        Http01Challenge {
            url: Some(url.to_owned()),
            ..Http01Challenge::default()
        }
    }

    #[test]
    fn host_and_path_are_parts_of_the_url() {
        let asked = challenge("http://a.b:80/x/y?z#w");
        assert_eq!(host_and_path(&asked), ("a.b:80", "/x/y"));
        assert_eq!(host_and_path(&challenge("http://a.b")), ("a.b", ""));
    }

    #[test]
    fn a_host_of_its_own_has_one_rule() {
        let challenges = [
            challenge("http://a/1"),
            challenge("http://b/2"),
            challenge("http://b/3"),
        ];
        let rules = rules_beside(&challenges, "a");
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].http.as_ref().unwrap().paths.len(), 2);
    }
}
