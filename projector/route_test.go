package projector_test

import (
	"strings"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestRoutes: a projector finds its rows in a topic that other tables share, whose rows are none of its business whatever they look like,
// and in the topics of earlier routes.
func TestRoutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.commit(projectortest.Put("shop.orders", order{ID: 1, Customer: "ann", Cents: 100})) // in its own topic
		old := eventstore.Routes{{Tables: "shop.order*", Topic: "shop.old"}}
		r.feed.Routes = old
		r.commit(projectortest.Put("shop.orders", order{ID: 2, Customer: "ann", Cents: 10}), projectortest.Put("shop.orders", order{ID: 1, Customer: "bob", Cents: 100}))
		routes := append(eventstore.Routes{{Tables: "shop.*", Topic: "{schema}.all"}}, old...)
		r.feed.Routes = routes
		r.commit(projectortest.Put("shop.order_notes", map[string]any{"id": 1, "customer": 7, "cents": "many"}),
			projectortest.Put("shop.orders", order{ID: 3, Customer: "bob", Cents: 1}), projectortest.Del("shop.orders", order{ID: 2}))
		csn := r.commit(projectortest.Del("shop.order_notes", order{ID: 1}))
		changes := 0
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}, Routes: routes,
			Hooks: projector.Hooks{OnWindow: func(i projector.WindowInfo) { changes += i.Changes }}})
		r.waitFor(runner, "customers", csn)
		r.want("customers", map[string]string{"bob": `{"orders":2,"cents":101}`})
		csn = r.commit(projectortest.Put("shop.order_notes", map[string]any{"id": "x"}), projectortest.Put("shop.orders", order{ID: 4, Customer: "cid", Cents: 5}))
		r.waitFor(runner, "customers", csn)
		r.want("customers", map[string]string{"bob": `{"orders":2,"cents":101}`, "cid": `{"orders":1,"cents":5}`})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if changes != 6 {
			t.Errorf("%d changes were read, want the 6 of shop.orders", changes)
		}
	})
}

func TestRoutesValidate(t *testing.T) {
	_, err := projector.NewRunner(projector.Config{Log: eventstore.NewMemoryLog(), Sinks: []projector.Sink{projector.NewMemorySink()},
		Projectors: []projector.Projector{customers()}, Routes: eventstore.Routes{{Tables: "shop", Topic: "shop.all"}}})
	if err == nil || !strings.Contains(err.Error(), "Routes[0]: ") {
		t.Errorf("got %v, want an error that names the route", err)
	}
}
