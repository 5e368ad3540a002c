package projector_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestHalt: what will not pass halts its projector with an error that names document, csn and table, but not the data. The others go on.
func TestHalt(t *testing.T) {
	type numbers struct {
		ID    int `json:"id"`
		Cents int `json:"cents"`
	}
	fold := func(source projector.Source[customerDoc]) projector.Projector {
		return projector.Fold[customerDoc]{Name: "bad", Version: 1, Target: projector.MemoryTarget("bad"), Sources: []projector.Source[customerDoc]{source}}
	}
	ids := func(o *order) []string { return []string{o.Customer} }
	for _, c := range []struct {
		name     string
		p        projector.Projector
		document string
		want     string
	}{
		{"handler's error", fold(projector.OnRow("shop.orders", ids, func(d *projector.Doc[customerDoc], _, _ *order) error { return errors.New("boom") })),
			"ann", `projector bad: document "ann" at csn 2, change of table shop.orders: boom`},
		{"handler's panic", fold(projector.OnRow("shop.orders", ids, func(d *projector.Doc[customerDoc], _, _ *order) error { panic("boom") })),
			"ann", `projector bad: document "ann" at csn 2, change of table shop.orders: panic: boom`},
		{"ids panics", fold(projector.OnRow("shop.orders", func(*order) []string { panic("boom") }, applyOrder)),
			"", `projector bad: row of table shop.orders at csn 2 index 4: ids: panic: boom`},
		{"id is no id", fold(projector.OnRow("shop.orders", func(*order) []string { return []string{""} }, applyOrder)),
			"", `projector bad: document "" at csn 2, change of table shop.orders: document id is empty`},
		{"row does not fit", fold(projector.OnRow("shop.orders", func(*struct {
			Customer int `json:"customer"`
		}) []string {
			return nil
		}, func(_ *projector.Doc[customerDoc], _, _ *struct {
			Customer int `json:"customer"`
		}) error {
			return nil
		})), "", `projector bad: row of table shop.orders at csn 2 index 4: after image: column "customer" does not fit the field's type int`},
		{"not an object", projector.Fold[int]{Name: "bad", Version: 1, Target: projector.MemoryTarget("bad"), Sources: []projector.Source[int]{
			projector.OnRow("shop.orders", func(n *numbers) []string { return []string{"n"} }, func(d *projector.Doc[int], _, _ *numbers) error { return nil })}},
			"n", `projector bad: document "n" at csn 2: marshal: the document is not a JSON object`},
		{"marshal fails", projector.Fold[func()]{Name: "bad", Version: 1, Target: projector.MemoryTarget("bad"), Sources: []projector.Source[func()]{
			projector.OnRow("shop.orders", func(n *numbers) []string { return []string{"n"} }, func(d *projector.Doc[func()], _, _ *numbers) error { return nil })}},
			"n", `projector bad: document "n" at csn 2: marshal: json: unsupported type: func()`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.commit()
			var halted []projector.HaltInfo
			runner, stop := r.run(projector.Config{Projectors: []projector.Projector{c.p, customers()},
				Hooks: projector.Hooks{OnHalt: func(h projector.HaltInfo) { halted = append(halted, h) }}})
			r.commit(projectortest.Put("shop.orders", order{1, "ann", 5}))
			err := runner.WaitFor(t.Context(), "bad", 2)
			if !errors.Is(err, projector.ErrStopped) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("waiting: got %v, want %s", err, c.want)
			}
			r.waitFor(runner, "customers", 2)
			r.want("customers", map[string]string{"ann": `{"orders":1,"cents":5}`})
			if err = stop(); err == nil || err.Error() != c.want {
				t.Errorf("Run: got %v, want %s", err, c.want)
			}
			if c.document != "" {
				if e, ok := errors.AsType[*projector.DocumentError](err); !ok || e.ID != c.document || e.CSN != 2 || e.Projector != "bad" {
					t.Errorf("got %#v, want a DocumentError of %s", err, c.document)
				}
			}
			if len(halted) != 1 || halted[0].Projector != "bad" || halted[0].CSN != 1 {
				t.Errorf("OnHalt was called with %+v, want once, with csn 1", halted)
			}
			if s := runner.Status(); s[0].Halted == nil || s[0].CSN != 1 || s[1].Halted != nil || s[1].CSN != 2 {
				t.Errorf("status: %+v", s)
			}
		})
	}
}

func TestHaltOnRefusedDocument(t *testing.T) {
	r := newRig(t)
	r.commit(projectortest.Put("shop.orders", order{1, "ann", 5}), projectortest.Put("shop.orders", order{2, "bob", 5}))
	refuse := &refusing{r.sink}
	runner, stop := r.run(projector.Config{Sinks: []projector.Sink{refuse}, Projectors: []projector.Projector{customers()}})
	waitHalted(t, runner, stop, `projector customers: document "ann" at csn 1: no such field`)
	if d, found, _ := r.sink.Get(t.Context(), projector.MemoryTarget("customers"), 1, "bob"); !found || d.Body == nil {
		t.Error("the other document of the request was not written")
	}
	if p, _, _ := r.sink.Progress(t.Context(), "customers"); p.CSN != 0 {
		t.Errorf("progress passed over the refused document: %+v", p)
	}
}

// refusing refuses ann.
type refusing struct{ projector.Sink }

func (s *refusing) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	if err := s.Sink.Apply(ctx, t, generation, writes, results); err != nil {
		return err
	}
	for i := range writes {
		if writes[i].ID == "ann" {
			results[i] = projector.Result{Outcome: projector.Refused, Err: errors.New("no such field")}
		}
	}
	return nil
}

// waitHalted waits for the projector to halt, before it has written csn 1, and checks why.
func waitHalted(t *testing.T, runner *projector.Runner, stop func() error, want string) {
	t.Helper()
	if err := runner.WaitFor(t.Context(), "customers", 1); !errors.Is(err, projector.ErrStopped) {
		t.Errorf("waiting: got %v, want ErrStopped", err)
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
