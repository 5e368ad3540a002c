package cdc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/millrace-go/millrace/eventstore"
)

// TestAdvancePrepared: which XA transactions are open, and that positions which share the list are left alone.
func TestAdvancePrepared(t *testing.T) {
	prepare := func(xid, gtid string) eventstore.Prepare { return eventstore.Prepare{XID: xid, GTID: gtid} }
	a, b, again := prepare("a", "1"), prepare("b", "2"), prepare("a", "3")
	step := func(open []eventstore.Prepare, s Slice, want ...eventstore.Prepare) []eventstore.Prepare {
		t.Helper()
		before := append([]eventstore.Prepare(nil), open...)
		got, err := advancePrepared(open, &s)
		if err != nil || len(got) != len(want) || len(want) > 0 && !cmp.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		if len(before) > 0 && !cmp.Equal(open, before) {
			t.Errorf("the list before was %v and is %v", before, open)
		}
		return got
	}
	one := step(nil, Slice{Prepared: &a}, a)
	two := step(one, Slice{Prepared: &b}, a, b)
	step(two, Slice{}, a, b)
	step(two, Slice{Completed: "a"}, b)
	step(two, Slice{Completed: "b"}, a)
	step(two, Slice{Prepared: &again}, b, again) // the server has forgotten the first
	step(one, Slice{Completed: "a"})
	if _, err := advancePrepared(two, &Slice{ID: "4", Completed: "c"}); err == nil {
		t.Error("an XA transaction that was not prepared: no error")
	}
}
