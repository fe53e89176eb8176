// SPDX-License-Identifier: Apache-2.0

//go:build programs

// Package kn names the program that the suite `kn` runs, so that go.mod holds what it needs.
package kn

import (
	_ "knative.dev/client/cmd/kn"
)
