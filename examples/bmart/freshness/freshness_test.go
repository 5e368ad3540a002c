package freshness_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/examples/bmart/freshness"
)

// The three reports come in every order.
func TestTrackerOrders(t *testing.T) {
	start := time.Now()
	doc := freshness.Document{Kind: "home", ID: "7"}
	reports := []func(*freshness.Tracker){
		func(t *freshness.Tracker) { t.Committed(1, "x", start, doc) },
		func(t *freshness.Tracker) { t.Logged(1, "x", 5) },
		func(t *freshness.Tracker) {
			t.Written(doc, 4, start.Add(time.Second))   // without the commit
			t.Written(doc, 6, start.Add(2*time.Second)) // with it
			t.Written(doc, 9, start.Add(3*time.Second)) // later
		},
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		tracker := freshness.NewTracker()
		for _, i := range order {
			reports[i](tracker)
		}
		got := tracker.Summary("home", time.Time{})
		if want := (freshness.Summary{Samples: 1, P50: 2 * time.Second, P99: 2 * time.Second, Max: 2 * time.Second}); got != want {
			t.Errorf("order %v: %+v, want %+v", order, got, want)
		}
		if n := tracker.Open("home"); n != 0 {
			t.Errorf("order %v: %d open", order, n)
		}
	}
}

func TestTrackerOpen(t *testing.T) {
	tracker := freshness.NewTracker()
	doc := freshness.Document{Kind: "home", ID: "7"}
	tracker.Committed(1, "x", time.Now(), doc)
	tracker.Logged(1, "x", 5)
	tracker.Written(doc, 4, time.Now())
	if n := tracker.Open("home"); n != 1 {
		t.Errorf("%d open, want 1", n)
	}
	if s := tracker.Summary("home", time.Time{}); s.Samples != 0 {
		t.Errorf("%+v, want no samples", s)
	}
}

// A commit that has left its document as it was is no sample, in whatever order that is learnt.
func TestTrackerUnchanged(t *testing.T) {
	start := time.Now()
	doc := freshness.Document{Kind: "home", ID: "7"}
	projector := []func(*freshness.Tracker){
		func(t *freshness.Tracker) { t.Complete("product", 9) }, // another kind
		func(t *freshness.Tracker) { t.Complete("home", 6) },
		func(t *freshness.Tracker) { t.Written(doc, 8, start.Add(time.Second)) },
		func(t *freshness.Tracker) { t.Complete("home", 8) },
	}
	for _, at := range []int{0, 1, 2, 3, 4} { // when the commits of csn 5 and 7 are known
		tracker := freshness.NewTracker()
		for i := range len(projector) + 1 {
			if i == at {
				for csn, product := range map[eventstore.CSN]uint64{5: 1, 7: 2} {
					tracker.Committed(product, "x", start, doc)
					tracker.Logged(product, "x", csn)
				}
			}
			if i < len(projector) {
				projector[i](tracker)
			}
		}
		got := tracker.Summary("home", time.Time{})
		if want := (freshness.Summary{Samples: 1, P50: time.Second, P99: time.Second, Max: time.Second}); got != want {
			t.Errorf("known at %d: %+v, want %+v", at, got, want)
		}
		if n := tracker.Open("home"); n != 0 {
			t.Errorf("known at %d: %d open", at, n)
		}
	}
}

func TestSummary(t *testing.T) {
	tracker, start := freshness.NewTracker(), time.Now()
	for i := 1; i <= 100; i++ {
		doc := freshness.Document{Kind: "product", ID: fmt.Sprint(i)}
		tracker.Committed(uint64(i), "x", start, doc)
		tracker.Logged(uint64(i), "x", eventstore.CSN(i))
		tracker.Written(doc, eventstore.CSN(i), start.Add(time.Duration(i)*time.Millisecond))
	}
	if got, want := tracker.Summary("product", time.Time{}), (freshness.Summary{Samples: 100, P50: 50 * time.Millisecond, P99: 99 * time.Millisecond, Max: 100 * time.Millisecond}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := tracker.Summary("product", start.Add(100*time.Millisecond)); got.Samples != 1 {
		t.Errorf("since the last: %+v, want one sample", got)
	}
}
