package cdc

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/model"
)

// playSession is a session without its goroutines, for the model: the same functions in the same order, with the sizes of flushes given.
func playSession(start eventstore.Start, server *model.Server, takes []int) (script model.Script) {
	ctx := context.Background()
	writer := model.NewRecorder(start, server)
	defer func() { script.Ops = writer.Ops }()
	source := &modelSource{server}
	s := &session{Config: Config{Source: source, FlushBytes: server.FlushBytes, HoldBytes: 1 << 20, CatchUp: -1},
		rules: &rules{}, config: source.ConfigID(), logger: slog.New(slog.DiscardHandler), servers: newServers(source), tables: newDefinitions(), writer: writer}
	if script.Halt = s.firstWatermark(ctx); script.Halt != nil {
		return script
	}
	stream, tail, err := s.open(ctx)
	if err != nil {
		script.Halt = err
		return script
	}
	if start.Tail.Stamp != nil {
		if script.Halt = s.finishTail(ctx, stream, tail); script.Halt != nil {
			return script
		}
	}
	q, err := newQueue(s.FlushBytes, s.config, s.rules, s.tables, s.last)
	if err != nil {
		script.Halt = err
		return script
	}
	var next *Slice // what did not fit
	for _, n := range takes {
		taken := 0
		for ; taken < n; taken++ {
			if next == nil && len(tail.held) > 0 {
				next, tail.held = tail.held[0], tail.held[1:]
			}
			if next == nil {
				if next, err = stream.Next(ctx); errors.Is(err, errStreamEnd) {
					next = nil
					break
				} else if err != nil {
					script.Halt = err
					return script
				}
			}
			added, err := q.tryAdd(next)
			if err != nil {
				script.Halt = err
				return script
			}
			if !added {
				break
			}
			next = nil
		}
		script.Short = taken < n
		f, end, _ := q.take()
		if f == nil {
			return script
		}
		if script.Halt = s.flush(ctx, f, end); script.Halt != nil {
			return script
		}
		q.release(f)
	}
	return script
}

// modelSource is a server of the model as a source.
type modelSource struct{ *model.Server }

func (s *modelSource) Check(context.Context) error { return nil }

func (s *modelSource) ConfigID() string { return s.Config }

func (s *modelSource) Oldest(context.Context) (Position, error) {
	return Position{Flavor: model.Flavor}, nil
}

func (s *modelSource) Executed(context.Context) (Position, error) {
	return Position{Flavor: model.Flavor, GTIDs: s.Server.Executed()}, nil
}

// Open gives the transactions that from does not cover. The rows of prepares come with their commits, if the prepare stands behind from, or
// from names it: a real server sends only the XA COMMIT otherwise.
func (s *modelSource) Open(_ context.Context, from Position) (Stream, error) {
	covers, err := from.Contains()
	if err != nil {
		return nil, err
	}
	stream := &modelStream{}
	rows := map[string][]model.Row{}
	for _, t := range s.Order {
		had, err := covers(model.GTID(t))
		if err != nil {
			return nil, err
		}
		tx := s.Transactions[t]
		last := Slice{ID: model.GTID(t), Last: true, Time: time.Unix(int64(t), 0)}
		changes := tx.Rows
		switch {
		case tx.Prepare != "":
			again := false
			for _, p := range from.Prepared {
				again = again || p.XID == tx.Prepare
			}
			if !had || again && !s.Forgets {
				rows[tx.Prepare] = tx.Rows
			}
			changes, last.Prepared = nil, &eventstore.Prepare{XID: tx.Prepare, GTID: last.ID}
		case tx.Commit != "":
			held, known := rows[tx.Commit]
			changes, last.Completed = held, tx.Commit
			if !known && !had && !s.Forgets {
				stream.slices = append(stream.slices, nil) // an error when it is reached
				continue
			}
		}
		if had {
			continue
		}
		stream.add(s, last, changes)
	}
	return stream, nil
}

// modelStream is a stream that ends.
type modelStream struct{ slices []*Slice }

var errStreamEnd = errors.New("the model's stream ends here")

func (st *modelStream) add(s *modelSource, last Slice, rows []model.Row) {
	var slices []*Slice
	for first := true; first || len(rows) > 0; first = false {
		n := len(rows)
		if s.SliceRows > 0 {
			n = min(n, s.SliceRows)
		}
		slice := &Slice{ID: last.ID, Time: last.Time, First: first, Last: n == len(rows)}
		if slice.Last {
			slice.Prepared, slice.Completed = last.Prepared, last.Completed
		}
		for _, row := range rows[:n] {
			table := &Table{Schema: "shop", Name: s.Table(row.Partition), Columns: []Column{{Name: "id", Type: "int"}}, Key: []int{0}}
			slice.Changes = append(slice.Changes, Change{Table: table, Op: Create, Row: row.Index, Key: model.Key(row.Partition), After: model.Key(row.Partition)})
		}
		rows = rows[n:]
		slices = append(slices, slice)
	}
	st.slices = append(st.slices, slices...)
}

func (st *modelStream) Next(context.Context) (*Slice, error) {
	if len(st.slices) == 0 {
		return nil, errStreamEnd
	}
	next := st.slices[0]
	if next == nil {
		return nil, fmt.Errorf("an XA COMMIT whose prepare the position does not name")
	}
	st.slices = st.slices[1:]
	return next, nil
}

func (st *modelStream) Close() error { return nil }

var exploreAll = flag.Bool("model.all", false, "explore all runs of the protocol's model, and print counterexamples")

// TestModel explores the relay protocol around this package's own code: see internal/model. make verify-model takes all runs.
func TestModel(t *testing.T) {
	out := t.Output()
	if *exploreAll {
		out = os.Stdout
	}
	if err := model.Verify(out, playSession, *exploreAll); err != nil {
		t.Fatal(err)
	}
}
