// SPDX-License-Identifier: Apache-2.0
//! Why the API says no, in the API server's words: clients and people read both the reason and the message.
//!
//! Invariants: every refusal has one HTTP code, one reason and a `Status` object; the texts are the API server's where
//! it has one (a scenario of tests/api compares them).
//! Depends on: cause, resource.

use serde_json::{Value, json};

pub use crate::cause::Cause;
use crate::resource::Resource;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404: there is no such object.
    #[error("{} \"{name}\" not found", resource.qualified())]
    NotFound {
        /// Its resource.
        resource: &'static Resource,
        /// Its name.
        name: String,
    },
    /// 404: there is no such path; what it would be.
    #[error(
        "the server could not find the requested resource: {0} is not served by the embedded API of sluice standalone"
    )]
    NoPath(String),
    /// 409: the name is taken.
    #[error("{} \"{name}\" already exists", resource.qualified())]
    AlreadyExists {
        /// Its resource.
        resource: &'static Resource,
        /// Its name.
        name: String,
    },
    /// 409: somebody else was faster, or a precondition does not hold.
    #[error("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified())]
    Conflict {
        /// Its resource.
        resource: &'static Resource,
        /// Its name.
        name: String,
        /// What does not hold.
        why: String,
    },
    /// 409: an apply touches fields that other managers own.
    #[error("{message}")]
    Ownership {
        /// Which managers and fields.
        message: String,
        /// One a field.
        causes: Vec<Cause>,
    },
    /// 422: fields are wrong.
    #[error("{} \"{name}\" is invalid: {}", resource.qualified_kind(), listed(causes))]
    Invalid {
        /// Its resource.
        resource: &'static Resource,
        /// Its name.
        name: String,
        /// What is wrong.
        causes: Vec<Cause>,
    },
    /// 422: an update must say of which version it is; here the API server names the plural.
    #[error("{} \"{name}\" is invalid: {}", resource.qualified(), listed(&[unversioned()]))]
    Unversioned {
        /// Its resource.
        resource: &'static Resource,
        /// Its name.
        name: String,
    },
    /// 403: not allowed now.
    #[error("{} \"{name}\" is forbidden: {why}", resource.qualified())]
    Forbidden {
        /// Its resource.
        resource: &'static Resource,
        /// Its name.
        name: String,
        /// Why not.
        why: String,
    },
    /// 410: what is asked for is no longer remembered.
    #[error("{0}")]
    Expired(String),
    /// Any other: code, reason and message.
    #[error("{message}")]
    Plain {
        /// The HTTP code.
        code: u16,
        /// The reason.
        reason: &'static str,
        /// The message.
        message: String,
    },
}

impl Refusal {
    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::Plain {
            code: 400,
            reason: "BadRequest",
            message: message.into(),
        }
    }

    /// 405: a feature that is not here.
    pub fn not_allowed(feature: &str) -> Self {
        Self::Plain {
            code: 405,
            reason: "MethodNotAllowed",
            message: format!("{feature} is not supported by the embedded API of sluice standalone"),
        }
    }

    /// 415: a format that is not here.
    pub fn unsupported(format: &str) -> Self {
        Self::Plain {
            code: 415,
            reason: "UnsupportedMediaType",
            message: format!("the media type {format} is not supported by the embedded API of sluice standalone"),
        }
    }

    /// 413.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::Plain {
            code: 413,
            reason: "RequestEntityTooLarge",
            message: format!("Request entity too large: limit is {limit}"),
        }
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Plain {
            code: 500,
            reason: "InternalError",
            message: message.into(),
        }
    }

    /// 409: an update of a version that is not the latest.
    #[must_use]
    pub fn modified(resource: &'static Resource, name: &str) -> Self {
        Self::Conflict {
            resource,
            name: name.to_owned(),
            why: "the object has been modified; please apply your changes to the latest version and try again"
                .to_owned(),
        }
    }

    /// 422 for one field; `detail` stands behind the path.
    #[must_use]
    pub fn invalid(
        resource: &'static Resource,
        name: &str,
        reason: &'static str,
        field: &str,
        detail: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            resource,
            name: name.to_owned(),
            causes: vec![Cause {
                reason,
                message: detail.into(),
                field: field.to_owned(),
            }],
        }
    }

    /// The HTTP code.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::NotFound { .. } | Self::NoPath(_) => 404,
            Self::AlreadyExists { .. } | Self::Conflict { .. } | Self::Ownership { .. } => 409,
            Self::Invalid { .. } | Self::Unversioned { .. } => 422,
            Self::Forbidden { .. } => 403,
            Self::Expired(_) => 410,
            Self::Plain { code, .. } => *code,
        }
    }

    /// The reason of the `Status` object.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::NoPath(_) => "NotFound",
            Self::AlreadyExists { .. } => "AlreadyExists",
            Self::Conflict { .. } | Self::Ownership { .. } => "Conflict",
            Self::Invalid { .. } | Self::Unversioned { .. } => "Invalid",
            Self::Forbidden { .. } => "Forbidden",
            Self::Expired(_) => "Expired",
            Self::Plain { reason, .. } => reason,
        }
    }

    /// The `Status` object.
    #[must_use]
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.to_string(), "reason": self.reason(), "code": self.code(),
        });
        let details = self.details();
        if let (Some(fields), false) = (status.as_object_mut(), details.is_null()) {
            fields.insert("details".to_owned(), details);
        }
        status
    }

    fn details(&self) -> Value {
        match self {
            Self::NotFound { resource, name }
            | Self::AlreadyExists { resource, name }
            | Self::Conflict { resource, name, .. }
            | Self::Forbidden { resource, name, .. } => about(name, resource.group, resource.plural),
            Self::Invalid { resource, name, causes } => with_causes(about(name, resource.group, resource.kind), causes),
            Self::Unversioned { resource, name } => {
                with_causes(about(name, resource.group, resource.plural), &[unversioned()])
            }
            Self::Ownership { causes, .. } => json!({"causes": written(causes)}),
            Self::NoPath(_) | Self::Expired(_) | Self::Plain { .. } => Value::Null,
        }
    }
}

fn about(name: &str, group: &str, kind: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind});
    if let (Some(fields), false) = (details.as_object_mut(), group.is_empty()) {
        fields.insert("group".to_owned(), group.into());
    }
    details
}

fn with_causes(mut details: Value, causes: &[Cause]) -> Value {
    if let Some(fields) = details.as_object_mut() {
        fields.insert("causes".to_owned(), written(causes));
    }
    details
}

fn unversioned() -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: "Invalid value: 0: must be specified for an update".to_owned(),
        field: "metadata.resourceVersion".to_owned(),
    }
}

fn written(causes: &[Cause]) -> Value {
    causes
        .iter()
        .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
        .collect()
}

fn listed(causes: &[Cause]) -> String {
    let texts: Vec<_> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}
