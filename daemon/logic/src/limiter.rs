// SPDX-License-Identifier: Apache-2.0
//! Who may run now, where, and who waits: one machine a revision.
