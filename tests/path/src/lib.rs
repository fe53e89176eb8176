// SPDX-License-Identifier: Apache-2.0
//! Tests of the request path as a process; all of them are in `tests/path`, nothing is here.
//!
//! Depends on: nothing.
