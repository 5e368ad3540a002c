package projector_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// lackingLog is a log whose rows above a csn lack columns.
type lackingLog struct {
	eventstore.Log
	above  eventstore.CSN
	absent eventstore.Absent
}

func (l *lackingLog) Cuts(ctx context.Context, opts eventstore.CutOptions) iter.Seq2[*eventstore.Cut, error] {
	return func(yield func(*eventstore.Cut, error) bool) {
		for cut, err := range l.Log.Cuts(ctx, opts) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(eventstore.NewCut(cut.After, cut.Watermark, l.records(cut)), nil) {
				return
			}
		}
	}
}

func (l *lackingLog) records(cut *eventstore.Cut) iter.Seq2[*eventstore.Record, error] {
	return func(yield func(*eventstore.Record, error) bool) {
		for rec, err := range cut.Records() {
			var row eventstore.RowChange
			if err == nil && rec.CSN > l.above && eventstore.ParseRow(rec, &row) == nil {
				row.Absent = &l.absent
				rec.Value = eventstore.AppendRow(nil, &row)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// TestAbsentColumns: a row whose image lacks columns halts its projector before anything is made of it, with what to do.
func TestAbsentColumns(t *testing.T) {
	for _, c := range []struct {
		absent eventstore.Absent
		want   string
	}{
		{eventstore.Absent{After: []string{"cents", "note"}}, "the after image lacks cents, note: "},
		{eventstore.Absent{Before: []string{"cents"}, After: []string{"note"}}, "the before image lacks cents, and the after image lacks note: "},
	} {
		r := newRig(t)
		r.commit(projectortest.Put("shop.orders", order{1, "ann", 5}))
		runner, stop := r.run(projector.Config{Log: &lackingLog{r.log, 2, c.absent}, Projectors: []projector.Projector{customers()}})
		first := r.commit()
		r.waitFor(runner, "customers", first)
		csn := r.commit(projectortest.Put("shop.orders", order{1, "ann", 7}))
		err := runner.WaitFor(t.Context(), "customers", csn)
		row, ok := errors.AsType[*projector.RowError](err)
		if !ok || row.Table != "shop.orders" || row.Place.CSN != csn || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "binlog_row_image = 'FULL'") {
			t.Errorf("got %v, want a *projector.RowError with %q", err, c.want)
		}
		r.want("customers", map[string]string{"ann": `{"orders":1,"cents":5}`})
		if err := stop(); err == nil {
			t.Error("Run returned no error")
		}
	}
}
