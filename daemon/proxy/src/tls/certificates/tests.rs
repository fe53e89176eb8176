// SPDX-License-Identifier: Apache-2.0
//! What is served after a replacement, and what is said of a bad one.

use super::*;

/// A pair for a host, new every time.
fn pair(source: &str, names: &[&str]) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["a.example.com".to_owned()]).unwrap();
    Certificate {
        source: source.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        chain_pem: made.cert.pem().into_bytes(),
        key_pem: made.signing_key.serialize_pem().into_bytes(),
    }
}

fn served(certificates: &Certificates, host: &str) -> Option<Arc<Served>> {
    certificates.current.set().find(Some(host)).cloned()
}

fn said(faults: &[BadCertificate]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_bad_certificate_keeps_the_old_one_and_does_not_hinder_others() {
    let certificates = Certificates::new().unwrap();
    let (one, two) = (
        pair("ns/one", &["one.example.com"]),
        pair("ns/two", &["two.example.com"]),
    );
    assert!(certificates.replace(vec![one.clone(), two.clone()]).is_empty());
    let old = served(&certificates, "one.example.com").unwrap();
    let half_written = Certificate {
        key_pem: two.key_pem.clone(),
        ..one.clone()
    };
    let newer = pair("ns/two", &["two.example.com"]);
    let faults = certificates.replace(vec![half_written, newer]);
    assert_eq!(said(&faults), ["certificate and private key of ns/one are not a pair"]);
    assert!(Arc::ptr_eq(&served(&certificates, "one.example.com").unwrap(), &old));
    assert!(served(&certificates, "two.example.com").unwrap().hash != old.hash);
}

#[test]
fn a_certificate_that_is_gone_is_not_served() {
    let certificates = Certificates::new().unwrap();
    assert!(
        certificates
            .replace(vec![pair("a", &["a.example.com", "*"])])
            .is_empty()
    );
    assert!(served(&certificates, "other").is_some());
    assert!(certificates.replace(Vec::new()).is_empty());
    assert!(served(&certificates, "a.example.com").is_none());
}

#[test]
fn an_unchanged_certificate_is_not_parsed_again() {
    let certificates = Certificates::new().unwrap();
    let one = pair("a", &["a.example.com"]);
    certificates.replace(vec![one.clone()]);
    let before = served(&certificates, "a.example.com").unwrap();
    certificates.replace(vec![one.clone()]);
    assert!(Arc::ptr_eq(&before, &served(&certificates, "a.example.com").unwrap()));
    let renewed = Certificate {
        source: "a".to_owned(),
        ..pair("a", &["a.example.com"])
    };
    certificates.replace(vec![renewed]);
    assert!(!Arc::ptr_eq(&before, &served(&certificates, "a.example.com").unwrap()));
}

#[test]
fn what_is_wrong_is_told_with_its_source() {
    let certificates = Certificates::new().unwrap();
    let good = pair("tls.crt", &["a.example.com"]);
    let with = |change: &dyn Fn(&mut Certificate)| {
        let mut bad = good.clone();
        change(&mut bad);
        said(&certificates.replace(vec![bad])).join("; ")
    };
    assert_eq!(
        with(&|bad| bad.chain_pem.clear()),
        "certificate of tls.crt: no CERTIFICATE section in the PEM text"
    );
    assert_eq!(
        with(&|bad| bad.key_pem = bad.chain_pem.clone()),
        "private key of tls.crt: no PRIVATE KEY section in the PEM text"
    );
    assert_eq!(
        with(&|bad| bad.names.clear()),
        "certificate of tls.crt is for no host: at least one name is needed, `*` for any"
    );
    assert_eq!(
        with(&|bad| bad.names.push("a.*".to_owned())),
        "certificate of tls.crt: \"a.*\" is neither a host nor `*.` and a host nor `*`"
    );
    assert!(
        with(&|bad| bad.chain_pem.truncate(100))
            .starts_with("certificate of tls.crt: a section of the PEM text has no end (`END CERTIFICATE`)")
    );
    let rubbish = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(with(&|bad| bad.chain_pem = rubbish.to_vec()).starts_with("certificate of tls.crt cannot be served"));
    let other = pair("other", &["b.example.com", "A.example.com"]);
    assert_eq!(
        said(&certificates.replace(vec![good.clone(), other])),
        ["certificate of other: \"A.example.com\" has one already, of tls.crt"]
    );
}
