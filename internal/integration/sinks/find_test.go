package sinks

import (
	"os"
	"testing"
)

func find(t testing.TB, env string) string {
	t.Helper()
	a := os.Getenv(env)
	if a == "" {
		t.Fatal("no " + env)
	}
	return a
}
