// SPDX-License-Identifier: Apache-2.0
//! What statuses have in common: control-plane spec 1.2.
//!
//! Depends on: schema.

use serde_json::Value;

use super::schema::{Field, int64, list, object, object_with, text, text_map};

/// A status of these fields beside those that every status has.
pub(super) fn with(fields: impl IntoIterator<Item = Field>) -> Value {
    object("What is; written by the controllers.", own().into_iter().chain(fields))
}

/// A status in which some fields must be present.
pub(super) fn requiring(required: &[&str], fields: impl IntoIterator<Item = Field>) -> Value {
    object_with(
        "What is; written by the controllers.",
        required,
        own().into_iter().chain(fields),
    )
}

fn own() -> [Field; 3] {
    [
        (
            "observedGeneration",
            int64("The generation of the object that this status describes."),
        ),
        (
            "conditions",
            list("What holds and what does not, by type.", condition()),
        ),
        ("annotations", text_map("More, for tools.")),
    ]
}

fn condition() -> Value {
    object_with(
        "Whether one thing holds.",
        &["status", "type"],
        [
            ("type", text("What the condition is about.")),
            ("status", text("True, False or Unknown.")),
            (
                "severity",
                text("How bad it is if it does not hold: Warning, Info, or empty for an error."),
            ),
            ("lastTransitionTime", text("When the condition last changed.")),
            ("reason", text("Why, in one word.")),
            ("message", text("Why, in a sentence.")),
        ],
    )
}

/// Where something can be reached.
pub(super) fn addressable(doc: &str) -> Value {
    object(
        doc,
        [
            ("name", text("Which address this is.")),
            ("url", text("The URL.")),
            ("CACerts", text("Who signs its certificate, in PEM.")),
            ("audience", text("The audience that its tokens must name.")),
        ],
    )
}
