package sinks

import (
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// find returns the address of a server; there is one, or the test fails.
func find(t testing.TB, kind servers.Kind) string {
	t.Helper()
	return servers.Find(t, kind).Value
}
