//go:build slow

package parsertest

import "testing"

// TestSlowNoBackendReadsAnotherUserInABody tries all bodies of which make test tries some.
func TestSlowNoBackendReadsAnotherUserInABody(t *testing.T) { testBodies(t, 1) }
