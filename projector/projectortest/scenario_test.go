package projectortest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

type order struct {
	ID       int    `json:"id"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

type customer struct {
	Orders int `json:"orders"`
	Cents  int `json:"cents"`
}

// customers is a Fold with a target in a sink that the test does not have.
func customers(apply func(d *projector.Doc[customer], old, now *order) error) projector.Fold[customer] {
	return projector.Fold[customer]{
		Name: "customers", Version: 3, Target: projector.Target{Sink: "elasticsearch", Name: "customers"},
		Sources: []projector.Source[customer]{
			projector.OnRow("shop.orders", func(o *order) []string { return []string{o.Customer} }, apply),
		},
	}
}

func apply(d *projector.Doc[customer], old, now *order) error {
	if old != nil {
		d.Data.Orders--
		d.Data.Cents -= old.Cents
	}
	if now != nil {
		d.Data.Orders++
		d.Data.Cents += now.Cents
	}
	if d.Data.Orders == 0 {
		d.Delete()
	}
	return nil
}

func put(id int, customer string, cents int) projectortest.Change {
	return projectortest.Put("shop.orders", order{id, customer, cents})
}

func TestScenario(t *testing.T) {
	projectortest.Of(t, customers(apply)).
		Given(put(1, "ann", 100), put(2, "eve", 5)).
		Given(put(3, "eve", 6)).
		When(put(1, "bob", 70)).
		Then("bob", customer{1, 70}).
		Then("eve", customer{2, 11}).
		ThenNone("ann", "nobody").
		ThenWrote("ann", "bob").
		When(projectortest.Del("shop.orders", order{ID: 1}), projectortest.Del("shop.orders", order{ID: 2}), projectortest.Del("shop.orders", order{ID: 3})).
		ThenNone().
		ThenWrote("ann", "bob", "eve")
}

// recorder is a test that fails without failing.
type recorder struct {
	testing.TB
	messages []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func TestScenarioFails(t *testing.T) {
	r := &recorder{TB: t}
	projectortest.Of(r, customers(apply)).Under(projectortest.Live).
		When(put(1, "ann", 100)).
		Then("ann", customer{1, 99}).Then("bob", customer{}).ThenNone("ann").ThenNone().ThenWrote("bob")
	want := []string{
		"live: document \"ann\" differs:\n\t.cents: want 99, got 100",
		`live: there is no document "bob", want`, "\n\t}\nwant none", "\n\t}\nwant none", `written were the documents ["ann"], want ["bob"]`,
	}
	if len(r.messages) != len(want) {
		t.Fatalf("%d messages, want %d: %q", len(r.messages), len(want), r.messages)
	}
	for i, text := range want {
		if !strings.Contains(r.messages[i], text) {
			t.Errorf("message %d is %q, want %q in it", i, r.messages[i], text)
		}
	}
}

// TestScenarioFindsImpure: a handler that remembers what it has seen makes other documents when it starts again.
func TestScenarioFindsImpure(t *testing.T) {
	r, calls := &recorder{TB: t}, 0
	projectortest.Of(r, customers(func(d *projector.Doc[customer], old, now *order) error {
		calls++
		d.Data.Cents = calls
		return nil
	})).When(put(1, "ann", 1)).When(put(1, "ann", 2)).Then("ann", customer{0, 2})
	if len(r.messages) == 0 {
		t.Error("it was not found")
	}
}

// TestScenarioModes: batches of one and of three documents are that; and transactions that touch other rows come in another order.
func TestScenarioModes(t *testing.T) {
	var seen [][2]int // of the handler: order, cents
	p := customers(func(d *projector.Doc[customer], old, now *order) error {
		if now != nil {
			seen = append(seen, [2]int{now.ID, now.Cents})
		}
		return apply(d, old, now)
	})
	for mode, want := range map[projectortest.Mode][][2]int{
		projectortest.Single:  {{1, 1}, {2, 1}, {1, 2}, {3, 1}, {3, 2}},
		projectortest.Reorder: {{3, 1}, {3, 2}, {2, 1}, {1, 1}, {1, 2}},
	} {
		seen = nil
		projectortest.Of(t, p).Under(mode).
			Given(put(1, "ann", 1)).Given(put(2, "ann", 1)).Given(put(1, "ann", 2)).
			When(put(3, "ann", 1), put(3, "ann", 2)).
			Then("ann", customer{3, 5})
		if !slices.Equal(seen, want) {
			t.Errorf("%s: the handler saw %v, want %v", mode, seen, want)
		}
	}
	r := &recorder{TB: t}
	projectortest.Of(r, customers(func(d *projector.Doc[customer], _, now *order) error { // the last one counts
		d.Data.Cents = now.Cents
		return nil
	})).Under(projectortest.Live, projectortest.Reorder).Given(put(1, "ann", 1)).When(put(2, "ann", 2)).Then("ann", customer{0, 2})
	if want := []string{"reorder: document \"ann\" differs:\n\t.cents: want 2, got 1"}; !slices.Equal(r.messages, want) {
		t.Errorf("got %q, want %q", r.messages, want)
	}
}

// exampleTest stands for the *testing.T of a test.
type exampleTest struct{ testing.TB }

func (exampleTest) Helper()                           {}
func (exampleTest) Context() context.Context          { return context.Background() }
func (exampleTest) Failed() bool                      { return false }
func (exampleTest) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func ExampleOf() {
	var t exampleTest // in a test: its *testing.T
	projectortest.Of(t, customers(apply)).Under(projectortest.Live).
		Given(projectortest.Put("shop.orders", order{1, "ann", 100})).
		When(projectortest.Put("shop.orders", order{1, "bob", 100})).
		Then("bob", customer{Orders: 1, Cents: 90}).
		ThenNone("ann")
	// Output:
	// live: document "bob" differs:
	// 	.cents: want 90, got 100
}
