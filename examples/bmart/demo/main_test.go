package demo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"testing"
)

// The tests' own program is also that of their child processes.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case RelayChild, ProjectorChild:
			os.Exit(Child(os.Args[1]))
		case goodChild:
			in := bufio.NewReader(os.Stdin)
			if _, err := in.ReadString('\n'); err != nil {
				os.Exit(1)
			}
			newReporter().send(report{Event: eventBegan})
			_, _ = io.Copy(io.Discard, in)
			os.Exit(0)
		case badChild:
			fmt.Fprintln(os.Stderr, "nothing works")
			os.Exit(3)
		}
	}
	os.Exit(m.Run())
}

// Children for the tests: one works until its standard input ends, one fails at once.
const (
	goodChild = "good-child"
	badChild  = "bad-child"
)
