// SPDX-License-Identifier: Apache-2.0
//! Which revision a request goes to: routes, splits, tags, rollouts.
