// SPDX-License-Identifier: Apache-2.0

//go:build programs

// Package clients names the programs that the suite `path` calls, so that go.mod holds what they need.
package clients

import (
	_ "github.com/summerwind/h2spec/cmd/h2spec"
)
