// SPDX-License-Identifier: Apache-2.0
//! The schema of caching.internal.knative.dev: control-plane spec 1.7.
//!
//! Depends on: schema, status.

use serde_json::Value;

use super::pod::image_pull_secrets;
use super::schema::{kind, object_with, text};
use super::status;

pub(super) fn image() -> Value {
    let spec = object_with(
        "Which image, and how it is fetched.",
        &["image"],
        [
            ("image", text("The image, by digest where one is known.")),
            (
                "serviceAccountName",
                text("The ServiceAccount whose pull secrets are used."),
            ),
            ("imagePullSecrets", image_pull_secrets()),
        ],
    );
    kind(
        "An image that is worth having on every node before it is needed.",
        spec,
        Some(status::with([])),
    )
}
