// SPDX-License-Identifier: Apache-2.0
//! Knative's kinds: types, defaults, validation, conditions, derived objects; one folder a kind.
