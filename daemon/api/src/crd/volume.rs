// SPDX-License-Identifier: Apache-2.0
//! The schema of a volume: control-plane spec 1.3 and 2.4.
//!
//! Depends on: schema.

use serde_json::Value;

use super::schema::{
    Field, atomic, atomic_list, behind, boolean, int32, int64, object, object_with, preserving, quantity, text,
    with_default,
};

pub(super) fn volume() -> Value {
    let kept = |flag: &str| preserving(&behind(&format!("kubernetes.podspec-{flag}")));
    object_with(
        "Something to mount; exactly one source.",
        &["name"],
        [
            ("name", text("Its name.")),
            (
                "configMap",
                atomic(object("A ConfigMap.", named().into_iter().chain([mode()]))),
            ),
            (
                "secret",
                object(
                    "A Secret.",
                    [
                        ("secretName", text("Its name.")),
                        ("items", items()),
                        ("optional", boolean("Whether it may be missing.")),
                        mode(),
                    ],
                ),
            ),
            (
                "projected",
                object("Several sources in one.", [("sources", sources()), mode()]),
            ),
            ("emptyDir", kept("volumes-emptydir")),
            ("hostPath", kept("volumes-hostpath")),
            ("persistentVolumeClaim", kept("persistent-volume-claim")),
            ("csi", kept("volumes-csi")),
            ("ephemeral", kept("volumes-ephemeral")),
            ("image", kept("volumes-image")),
        ],
    )
}

fn mode() -> Field {
    ("defaultMode", int32("The mode bits of its files."))
}

/// A ConfigMap or Secret by name.
fn named() -> [Field; 3] {
    [
        ("name", with_default(text("Its name."), "")),
        ("items", items()),
        ("optional", boolean("Whether it may be missing.")),
    ]
}

fn items() -> Value {
    let item = object_with(
        "A key and its file.",
        &["key", "path"],
        [
            ("key", text("The key.")),
            ("mode", int32("The mode bits of the file.")),
            ("path", text("The file, relative to the mount.")),
        ],
    );
    atomic_list("Which keys become which files; all if empty.", item)
}

fn sources() -> Value {
    let token = object_with(
        "A token of the pod's ServiceAccount.",
        &["path"],
        [
            ("audience", text("Whom the token is for.")),
            ("expirationSeconds", int64("How long it is good.")),
            ("path", text("The file, relative to the mount.")),
        ],
    );
    let source = object(
        "One source; exactly one of its fields.",
        [
            ("configMap", atomic(object("A ConfigMap.", named()))),
            ("downwardAPI", object("Fields of the pod.", [("items", pod_fields())])),
            ("secret", atomic(object("A Secret.", named()))),
            ("serviceAccountToken", token),
        ],
    );
    atomic_list("The sources.", source)
}

fn pod_fields() -> Value {
    let field = atomic(object_with(
        "A field of the pod.",
        &["fieldPath"],
        [
            ("apiVersion", text("The version in which the path is meant.")),
            ("fieldPath", text("The path of the field.")),
        ],
    ));
    let resource = atomic(object_with(
        "A limit or request of a container.",
        &["resource"],
        [
            ("containerName", text("The container.")),
            ("divisor", quantity("The unit.")),
            ("resource", text("Which one, such as limits.cpu.")),
        ],
    ));
    let file = object_with(
        "A field and its file.",
        &["path"],
        [
            ("fieldRef", field),
            ("mode", int32("The mode bits of the file.")),
            ("path", text("The file, relative to the mount.")),
            ("resourceFieldRef", resource),
        ],
    );
    atomic_list("Which fields become which files.", file)
}
