package binlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

// TestInbox: everything comes out in order, the error behind it, and the writer waits when the reader is slow.
func TestInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		ended := errors.New("ended")
		written := 0
		go func() {
			for i := range 100 {
				event := make([]byte, inboxBytes/10+i)
				copy(event, fmt.Sprint(i))
				if !in.put(event, i%2 == 0) {
					return
				}
				written++
			}
			in.fail(ended)
		}()
		synctest.Wait()
		if written != 9 {
			t.Fatalf("%d events of a tenth wait, want 9", written)
		}
		got := 0
		var b batch
		for {
			full, err := in.take(t.Context(), b)
			if err != nil {
				if !errors.Is(err, ended) {
					t.Errorf("got %v", err)
				}
				break
			}
			b = full
			if b.bytes > inboxBytes {
				t.Errorf("%d bytes at once", b.bytes)
			}
			for _, event := range b.events {
				if want := fmt.Sprint(got); string(event[:len(want)]) != want {
					t.Fatalf("event %d is %q", got, event[:4])
				}
				got++
			}
		}
		if got != 100 {
			t.Errorf("got %d events", got)
		}
	})
}

// TestInboxWakes: a reader that waits leaves when its context ends or the inbox is closed, a writer when it is closed.
func TestInboxWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 2)
		go func() {
			_, err := in.take(ctx, batch{})
			results <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		go func() {
			for in.put(make([]byte, inboxBytes), false) {
			}
			results <- nil
		}()
		synctest.Wait()
		close(in.closed)
		<-results
		_, _ = in.take(t.Context(), batch{}) // what is there may still be taken
		if _, err := in.take(t.Context(), batch{}); !errors.Is(err, errClosed) {
			t.Errorf("got %v", err)
		}
	})
}
