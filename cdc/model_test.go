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

// playSession is a session without its goroutines, for the model: the same functions in the same order, with the sizes of flushes and the
// times of chunks given.
func playSession(start eventstore.Start, server *model.Server, takes []model.Take) model.Script {
	writer := model.NewRecorder(start, server)
	play := &sessionPlay{session: &session{rules: &rules{}, logger: slog.New(slog.DiscardHandler), tables: newDefinitions(), writer: writer}}
	play.Config = Config{FlushBytes: server.FlushBytes, HoldBytes: 1 << 20, MaxBytes: 1 << 20, CatchUp: -1, Logger: play.logger, Snapshot: SnapshotConfig{Readers: 1, ChunkRows: 10}}
	source := &modelSource{Server: server, began: start.Found}
	if play.Source = source; server.OldRows {
		play.Source = &modelTables{source}
	}
	play.config, play.servers = play.Source.ConfigID(), newServers(play.Source)
	short, err := play.run(context.Background(), takes)
	return model.Script{Ops: writer.Ops, Short: short, Halt: err}
}

// playMemory is used again from play to play: there are many.
var playMemory [2]arena

// sessionPlay is a session that is played.
type sessionPlay struct {
	*session
	stream Stream
	held   []*Slice // what the tail has held back, without snapshots
	next   *Slice   // what did not fit

	beside *snapshotStream // nil without snapshots
	source *modelStream
	task   *task
	chunk  *reading
}

// run follows session.run and session.relay.
func (p *sessionPlay) run(ctx context.Context, takes []model.Take) (short bool, err error) {
	if err := p.firstWatermark(ctx); err != nil {
		return false, err
	}
	stream, tail, err := p.open(ctx)
	if err != nil {
		return false, err
	}
	if err := p.prepareSnapshots(); err != nil {
		return false, err
	}
	if p.writer.Start().Tail.Stamp != nil {
		if err := p.finishTail(ctx, stream, tail); err != nil {
			return false, err
		}
	}
	q, err := newQueue(p.FlushBytes, p.config, p.rules, p.tables, p.last)
	if err != nil {
		return false, err
	}
	q.filling.arena, q.spare.arena = playMemory[0], playMemory[1]
	defer func() {
		for i, f := range []*flush{q.filling, q.spare} {
			if f != nil {
				f.reset()
				playMemory[i] = f.arena
			}
		}
	}()
	p.source, p.stream = stream.(*modelStream), p.besideSnapshots(stream, tail, q)
	p.held = tail.held
	if p.snapshots != nil {
		p.beside = p.stream.(*snapshotStream)
		p.snapshots.prefix = fmt.Sprint(ChunkPrefix, "life", p.source.source.Life, "-") // random otherwise
		if err := p.look(ctx); err != nil {
			return false, err
		}
	}
	for _, take := range takes {
		if short, err = p.take(ctx, q, take); err != nil || short {
			return short, err
		}
		f, end, _ := q.take()
		if err := p.flush(ctx, f, end); err != nil {
			return false, err
		}
		q.release(f)
	}
	return false, nil
}

// take fills a flush. It is short when it did not get what was asked for.
func (p *sessionPlay) take(ctx context.Context, q *queue, take model.Take) (short bool, err error) {
	if take.View > 0 {
		if ok, err := p.readChunk(ctx, take.View-1); err != nil || !ok {
			return true, err
		}
	}
	at, cancel := context.WithCancel(ctx)
	cancel() // the queue must not wait for room
	for taken := range take.Slices {
		if p.next == nil {
			if p.next, err = p.slice(ctx); errors.Is(err, errStreamEnd) {
				return true, nil
			} else if err != nil {
				return false, err
			}
		}
		switch err := q.add(at, p.next); {
		case errors.Is(err, context.Canceled): // its definition may have found room
			return taken > 0 || q.filling.empty(), nil
		case err != nil:
			return false, err
		}
		p.next = nil
	}
	return false, nil
}

// slice returns the stream's next slice.
func (p *sessionPlay) slice(ctx context.Context) (*Slice, error) {
	if len(p.held) > 0 {
		next := p.held[0]
		p.held = p.held[1:]
		return next, nil
	}
	for {
		slice, err := p.stream.Next(ctx)
		if ended, failed := p.chunkEnded(ctx); failed != nil {
			return nil, failed
		} else if !ended || err == nil {
			return slice, err
		}
	}
}

// readChunk does what a reader of chunks does: its view has ahead transactions more than the stream has given.
func (p *sessionPlay) readChunk(ctx context.Context, ahead int) (ok bool, err error) {
	view := p.source.at + ahead
	if p.beside == nil || p.next != nil || p.beside.inside || view > len(p.source.source.Order) {
		return false, nil
	}
	p.beside.settle() // the stream would have been asked for more by now
	if _, err := p.chunkEnded(ctx); err != nil || p.chunk != nil {
		return false, err
	}
	if p.task, err = p.nextChunk(ctx); p.task == nil {
		return false, err
	}
	table := p.task.table
	p.chunk = &reading{window: newWindow(table.Schema, table.Table, 1<<20), table: table, part: p.task.part, viewed: time.Unix(0, 0),
		opened: make(chan Position, 1), outcome: make(chan discard, 1)}
	p.snapshots.opening = append(p.snapshots.opening, p.chunk)
	if p.next = p.beside.due(); p.next != nil {
		return false, fmt.Errorf("%s is placed while a window opens", p.next.ID)
	}
	if len(p.source.rest) == 0 { // the stream says where it is while the chunk is read: it may be another server's than before
		if slice, err := p.stream.Next(ctx); !errors.Is(err, errStreamEnd) {
			return false, fmt.Errorf("%v came behind the end, or %w", slice, err)
		}
	}
	p.chunk.window.read(p.source.source.chunk(table.Table, view))
	return true, nil
}

// nextChunk does what comes before a chunk: it lists the tables, and divides one into ranges. Where nothing is left to be read it is nil, and
// the stream will say so.
func (p *sessionPlay) nextChunk(ctx context.Context) (*task, error) {
	for {
		next, _, _ := p.snapshots.take()
		if next == nil || next.part != nil {
			return next, nil
		}
		if next.table == nil { // the model renames nothing: a list is right at any place
			tables, err := p.snapshots.source.Tables(ctx)
			if err != nil {
				return nil, err
			}
			p.snapshots.progress.list(tables)
			p.snapshots.giveBack(next)
			continue
		}
		err := p.snapshots.do(ctx, nil, next)
		if p.snapshots.giveBack(next); err != nil {
			return nil, err
		}
	}
}

// chunkEnded tells whether the stream has placed the chunk, or found it worthless, and lets the reader go on.
func (p *sessionPlay) chunkEnded(ctx context.Context) (bool, error) {
	if p.chunk == nil || len(p.chunk.outcome) == 0 {
		return false, nil
	}
	p.snapshots.giveBack(p.task)
	p.chunk, p.task = nil, nil
	return true, p.look(ctx)
}

// look lets the reader find out what is next, without reading it.
func (p *sessionPlay) look(ctx context.Context) error {
	next, err := p.nextChunk(ctx)
	if next != nil {
		p.snapshots.giveBack(next)
	}
	return err
}

// modelSource is a server of the model as a source.
type modelSource struct {
	*model.Server
	began bool // the log has: only then is there anything in the server's binlog
}

func (s *modelSource) Check(context.Context) error { return nil }

func (s *modelSource) ConfigID() string { return s.Config }

func (s *modelSource) Oldest(context.Context) (Position, error) {
	return Position{Flavor: model.Flavor}, nil
}

func (s *modelSource) Executed(context.Context) (Position, error) {
	return Position{Flavor: model.Flavor, GTIDs: s.Server.Executed(), Server: s.name()}, nil
}

// name is that of the server's binlogs: the same for the same order.
func (s *modelSource) name() string { return fmt.Sprint("server", s.Order) }

// modelTables is a source whose tables have rows that are older than its binlog.
type modelTables struct{ *modelSource }

// Oldest is after those rows, and before the first transaction.
func (s *modelTables) Oldest(context.Context) (Position, error) {
	return Position{}, ErrPositionLost
}

func (s *modelTables) Executed(ctx context.Context) (Position, error) {
	if !s.began {
		s.began = true
		return Position{Flavor: model.Flavor, Server: s.name()}, nil
	}
	return s.modelSource.Executed(ctx)
}

func (s *modelTables) Filter() Filter { return Filter{Include: []string{"shop.*"}} }

func (s *modelTables) Tables(context.Context) ([]TableSize, error) {
	tables := []TableSize{{Schema: "shop", Name: "a"}}
	if s.Topics == 2 {
		tables = append(tables, TableSize{Schema: "shop", Name: "b"})
	}
	return tables, nil
}

func (s *modelTables) OpenChunks(context.Context) (ChunkReader, error) {
	return nil, errors.New("the play reads the chunks")
}

// chunk is a table after the first n transactions.
func (s *modelSource) chunk(table string, n int) *Chunk {
	c := &Chunk{Table: modelTable(table), Done: true, High: s.place(n)}
	if s.Hurries {
		c.High = s.place(0)
	}
	rows := s.View(table, n)
	for p := range 2 {
		if t, has := rows[p]; has {
			c.Rows = append(c.Rows, Change{Table: c.Table, Op: Read, Key: model.Key(p), After: model.Image(p, t)})
		}
	}
	return c
}

// place is the end of the server's nth transaction, from 1.
func (s *modelSource) place(n int) Coordinates { return Coordinates{s.name(), "binlog", uint64(n)} }

func modelTable(name string) *Table {
	return &Table{Schema: "shop", Name: name, Columns: []Column{{Name: "id", Type: "int"}, {Name: "version", Type: "int"}}, Key: []int{0}}
}

// Open gives the transactions that from does not cover. The rows of prepares come with their commits, if the prepare stands behind from, or
// from names it: a real server sends only the XA COMMIT otherwise.
func (s *modelSource) Open(_ context.Context, from Position) (Stream, error) {
	covers, err := from.Contains()
	if err != nil {
		return nil, err
	}
	stream := &modelStream{source: s}
	held := map[string][]model.Row{}
	for i, t := range s.Order {
		had, err := covers(model.GTID(t))
		if err != nil {
			return nil, err
		}
		tx := s.Transactions[t]
		last := Slice{ID: model.GTID(t), Time: time.Unix(int64(t), 0)}
		rows := tx.Rows
		switch {
		case tx.Prepare != "":
			again := false
			for _, p := range from.Prepared {
				again = again || p.XID == tx.Prepare
			}
			if !had || again && !s.Forgets {
				held[tx.Prepare] = tx.Rows
			}
			rows, last.Prepared = nil, &eventstore.Prepare{XID: tx.Prepare, GTID: last.ID}
		case tx.Commit != "":
			prepared, known := held[tx.Commit]
			if rows = prepared; !known && !had && !s.Forgets {
				stream.fail(i, fmt.Errorf("transaction %s completes XA transaction %s, whose prepare the position does not name", last.ID, tx.Commit))
				continue
			}
			last.Completed = tx.Commit
		}
		if !had {
			stream.add(i, t, last, rows)
		}
	}
	stream.pass()
	return stream, nil
}

// modelStream is a stream that ends. It says where it is when it is asked to.
type modelStream struct {
	source *modelSource
	rest   []modelSlice
	at     int // transactions of the server that it has passed
	marks  bool
	marked bool // the reader knows
}

type modelSlice struct {
	*Slice
	at  int // the transaction's place in the server's order
	err error
}

var errStreamEnd = errors.New("the model's stream ends here")

func (st *modelStream) fail(at int, err error) {
	st.rest = append(st.rest, modelSlice{at: at, err: err})
}

// add cuts a transaction into slices.
func (st *modelStream) add(at, t int, whole Slice, rows []model.Row) {
	for first := true; first || len(rows) > 0; first = false {
		n := len(rows)
		if limit := st.source.SliceRows; limit > 0 {
			n = min(n, limit)
		}
		slice := &Slice{ID: whole.ID, Time: whole.Time, First: first, Last: n == len(rows)}
		if slice.Last {
			slice.Prepared, slice.Completed = whole.Prepared, whole.Completed
			end := st.source.place(at + 1)
			slice.Server, slice.File, slice.Offset = end.Server, end.File, end.Offset
		}
		for _, row := range rows[:n] {
			slice.Changes = append(slice.Changes, Change{Table: modelTable(st.source.Table(row.Partition)), Op: Create, Row: row.Index,
				Key: model.Key(row.Partition), After: model.Image(row.Partition, t)})
		}
		rows = rows[n:]
		st.rest = append(st.rest, modelSlice{Slice: slice, at: at})
	}
}

// pass moves on to the next transaction that is left.
func (st *modelStream) pass() {
	if st.at = len(st.source.Order); len(st.rest) > 0 {
		st.at = st.rest[0].at
	}
}

func (st *modelStream) Next(context.Context) (*Slice, error) {
	between := len(st.rest) == 0 || st.rest[0].err != nil || st.rest[0].First
	if st.marks && !st.marked && between {
		st.marked = true
		at := st.source.place(st.at)
		return &Slice{Server: at.Server, File: at.File, Offset: at.Offset}, nil
	}
	if len(st.rest) == 0 {
		return nil, errStreamEnd
	}
	next := st.rest[0]
	if next.err != nil {
		return nil, next.err
	}
	if st.rest = st.rest[1:]; next.Last {
		st.pass()
	}
	st.marked = false
	return next.Slice, nil
}

// Marks implements [MarkedStream].
func (st *modelStream) Marks(on bool) { st.marks, st.marked = on, false }

func (st *modelStream) Close() error { return nil }
