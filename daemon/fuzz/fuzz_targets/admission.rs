// SPDX-License-Identifier: Apache-2.0
//! Any AdmissionReview: both webhooks answer, and what the first one makes is taken as it is the second time.
#![no_main]
#![allow(clippy::panic, reason = "this is how a target fails")]

use api::admission::{Hook, Operation, Request, review, webhook};
use api::context::Settings;
use api::kind::Kind;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, json)) = data.split_first() else {
        return;
    };
    let settings = Settings::default();
    for hook in [Hook::Defaulting, Hook::Validation] {
        let answer = webhook::answer(hook, json, &settings);
        assert!(answer["response"]["allowed"].is_boolean());
    }
    let Ok(object) = serde_json::from_slice::<Value>(json) else {
        return;
    };
    let Some(kind) = Kind::ALL.get(usize::from(*choice) % Kind::ALL.len()) else {
        return;
    };
    let request = |object: &Value, operation| {
        let request = Request {
            kind: *kind,
            operation,
            sub_resource: "",
            user: "u",
            object,
            old_object: &Value::Null,
        };
        review(&request, &settings)
    };
    let _ = request(&object, Operation::Update);
    let once = request(&object, Operation::Create);
    if let Some(defaulted) = &once.defaulted {
        let twice = request(defaulted, Operation::Create);
        assert_eq!(twice.defaulted.as_ref(), Some(defaulted));
        assert_eq!(twice.warnings, once.warnings);
    }
});
