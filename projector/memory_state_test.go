package projector_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func TestMemoryStates(t *testing.T) {
	projectortest.TestLocalStates(t, func(*testing.T) (projector.LocalStates, func() projector.LocalStates) {
		states := projector.NewMemoryStates()
		return states, func() projector.LocalStates { return states }
	})
}

func ExampleNewMemoryStates() {
	ctx, states := context.Background(), projector.NewMemoryStates()
	for range 2 {
		state, err := states.Open(ctx, "home")
		if err != nil {
			fmt.Println(err)
			return
		}
		value, found, _ := state.Get([]byte("committed"))
		fmt.Printf("%q %v\n", value, found)
		_ = state.Set([]byte("committed"), []byte("yes"))
		_ = state.Commit()
		_ = state.Set([]byte("committed"), []byte("no"))
		_ = state.Close()
	}
	// Output:
	// "" false
	// "yes" true
}
