package pebblestate_test

import (
	"context"
	"fmt"
	"os"

	"github.com/millrace-go/millrace/projector/pebblestate"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "states")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	states, err := pebblestate.New(pebblestate.Config{Dir: dir}) // goes into projector.Config.States
	if err != nil {
		fmt.Println(err)
		return
	}
	state, err := states.Open(context.Background(), "home") // what a runner does for a join of that name
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(state.Set([]byte("k"), []byte("v")), state.Commit(), state.Close())
	// Output: <nil> <nil> <nil>
}
