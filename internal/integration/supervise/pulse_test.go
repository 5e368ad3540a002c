package supervise

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// A condition is asked at once, behind each beat, and no more once it holds; the end of the context ends the wait with its cause.
func TestPulseAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pulse
		asked := 0
		done := make(chan error, 1)
		go func() { done <- p.Await(t.Context(), func() bool { asked++; return asked == 3 }) }()
		for want := range 2 {
			synctest.Wait()
			if asked != want+1 {
				t.Fatalf("asked %d times, want %d", asked, want+1)
			}
			p.Beat()
		}
		if err := <-done; err != nil || asked != 3 {
			t.Errorf("got %v, asked %d times, want 3", err, asked)
		}
		ended, end := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		end(cause)
		if err := p.Await(ended, func() bool { return false }); !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
	})
}
