package demo

import (
	"os"
	"testing"
)

// The tests' own program is also that of their child processes.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && (os.Args[1] == RelayChild || os.Args[1] == ProjectorChild) {
		os.Exit(Child(os.Args[1]))
	}
	os.Exit(m.Run())
}
