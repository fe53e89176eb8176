// SPDX-License-Identifier: Apache-2.0
//! The schema of a container: control-plane spec 1.3 and 2.4.
//!
//! Depends on: probe, schema.

use serde_json::{Value, json};

use super::probe::probe;
use super::schema::{
    atomic, atomic_list, behind, boolean, int32, int64, keyed_list, list, map, object, object_with, preserving,
    quantity, text, with_default,
};

pub(super) fn container() -> Value {
    let words = |doc: &str| atomic_list(doc, json!({"type": "string"}));
    object(
        "A container.",
        [
            ("args", words("Arguments of the command.")),
            ("command", words("The command, instead of the image's own.")),
            ("env", keyed_list("Environment variables.", "name", variable())),
            (
                "envFrom",
                atomic_list("ConfigMaps and Secrets whose every key is a variable.", variables()),
            ),
            ("image", text("The image.")),
            ("imagePullPolicy", text("Always, IfNotPresent or Never.")),
            ("livenessProbe", probe("Tells whether the container must be restarted.")),
            ("name", text("The name of the container.")),
            ("ports", list("The port that takes requests.", container_port())),
            ("readinessProbe", probe("Tells whether the container takes requests.")),
            ("resources", resources()),
            ("securityContext", security_context()),
            ("startupProbe", probe("Tells whether the container has started.")),
            (
                "terminationMessagePath",
                text("The file into which the container writes why it ended."),
            ),
            ("terminationMessagePolicy", text("File or FallbackToLogsOnError.")),
            ("volumeMounts", keyed_list("Mounts.", "mountPath", mount())),
            ("workingDir", text("The directory in which the command starts.")),
        ],
    )
}

fn variable() -> Value {
    let key = |doc: &str| {
        atomic(object_with(
            doc,
            &["key"],
            [
                ("key", text("The key.")),
                ("name", with_default(text("The name of the object."), "")),
                ("optional", boolean("Whether it may be missing.")),
            ],
        ))
    };
    let field = || atomic(preserving(&behind("kubernetes.podspec-fieldref")));
    let source = object(
        "Where the value comes from.",
        [
            ("configMapKeyRef", key("A key of a ConfigMap.")),
            ("secretKeyRef", key("A key of a Secret.")),
            ("fieldRef", field()),
            ("resourceFieldRef", field()),
        ],
    );
    object_with(
        "An environment variable.",
        &["name"],
        [
            ("name", text("Its name.")),
            ("value", text("Its value.")),
            ("valueFrom", source),
        ],
    )
}

fn variables() -> Value {
    let source = |doc: &str| {
        atomic(object(
            doc,
            [
                ("name", with_default(text("Its name."), "")),
                ("optional", boolean("Whether it may be missing.")),
            ],
        ))
    };
    object(
        "A source of variables.",
        [
            ("configMapRef", source("A ConfigMap.")),
            ("prefix", text("Stands before every key.")),
            ("secretRef", source("A Secret.")),
        ],
    )
}

fn container_port() -> Value {
    object(
        "A port.",
        [
            ("containerPort", int32("Its number.")),
            ("name", text("http1, h2c or empty.")),
            ("protocol", with_default(text("TCP."), "TCP")),
        ],
    )
}

fn resources() -> Value {
    let amounts = |doc: &str| {
        let mut amount = quantity("");
        if let Some(fields) = amount.as_object_mut() {
            fields.remove("description");
        }
        map(doc, amount)
    };
    object(
        "CPU, memory and the like.",
        [
            ("limits", amounts("What it may use.")),
            ("requests", amounts("What is kept for it.")),
        ],
    )
}

fn mount() -> Value {
    object_with(
        "A volume in the container's file system.",
        &["mountPath", "name"],
        [
            ("mountPath", text("Where it is mounted.")),
            (
                "mountPropagation",
                text(&behind("kubernetes.podspec-volumes-mount-propagation")),
            ),
            ("name", text("The name of the volume.")),
            ("readOnly", boolean("Whether it cannot be written.")),
            ("subPath", text("Which part of the volume is mounted.")),
        ],
    )
}

fn security_context() -> Value {
    let names = |doc: &str| atomic_list(doc, json!({"type": "string"}));
    let capabilities = object(
        "Capabilities of Linux.",
        [
            ("add", names(&behind("kubernetes.containerspec-addcapabilities"))),
            ("drop", names("Capabilities that are taken away.")),
        ],
    );
    let profile = object_with(
        "Which system calls are allowed.",
        &["type"],
        [
            ("type", text("RuntimeDefault, Unconfined or Localhost.")),
            ("localhostProfile", text("A file on the node, for the type Localhost.")),
        ],
    );
    object(
        "What the container may do on the node.",
        [
            (
                "allowPrivilegeEscalation",
                boolean("Whether a process may gain more rights than its parent."),
            ),
            ("capabilities", capabilities),
            ("privileged", boolean("May only be false.")),
            (
                "readOnlyRootFilesystem",
                boolean("Whether the root file system cannot be written."),
            ),
            ("runAsGroup", int64("The group of the process.")),
            ("runAsNonRoot", boolean("Whether the container must not start as root.")),
            ("runAsUser", int64("The user of the process.")),
            ("seccompProfile", profile),
        ],
    )
}
