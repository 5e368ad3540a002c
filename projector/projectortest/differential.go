package projectortest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// JoinUnderTest is a [projector.Join].
type JoinUnderTest interface {
	projector.Projector
	Recompute(rows func(table string) [][]byte) (map[string][]byte, error)
}

// FoldUnderTest is a [projector.Fold].
type FoldUnderTest interface {
	projector.Projector
	FromRows(rows func(table string) [][]byte) (map[string][]byte, error)
}

// RandomTable is a [projector.Table]: [Differential] makes rows of it.
type RandomTable interface {
	Name() string
	RowType() reflect.Type
	KeyColumns() []string
}

// Differential checks that the documents of a Join, or of a Fold that follows tables, are always what a full recompute gives. It commits random transactions to the tables (rows of few
// different values, so that they find each other: inserts, updates, deletes, changed keys, parents that come late or go early), has a runner follow
// them in windows of random length, lets reading break off and ends the runner now and then (drained, killed, or with its local state lost), and compares each document written with
// [projector.Join.Recompute] or [projector.Fold.FromRows] at the commit that its version names, and all documents at the end of each round. It ends after n comparisons.
//
// The fields of the tables' rows are filled by kind: integers from 1 to 8, a few strings, bools, floats; pointers may be nil; other kinds stay
// as they are.
func Differential(t testing.TB, p projector.Projector, n int, seed uint64, tables ...RandomTable) {
	t.Helper()
	DifferentialOn(t, func() projector.LocalStates { return projector.NewMemoryStates() }, p, n, seed, tables...)
}

// DifferentialOn is [Differential] with other local states than those in memory: states returns new ones, without content.
func DifferentialOn(t testing.TB, states func() projector.LocalStates, p projector.Projector, n int, seed uint64, tables ...RandomTable) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := &differential{TB: t, p: p, rnd: rand.New(rand.NewPCG(seed, 1)), tables: tables, log: eventstore.NewMemoryLog(),
		memory: projector.NewMemorySink(), newStates: states}
	d.states.LocalStates = states()
	feed, err := NewFeed(ctx, d.log)
	if err != nil {
		t.Fatal(err)
	}
	feed.Keys = map[string][]string{}
	for _, table := range tables {
		columns := table.KeyColumns()
		if len(columns) == 0 {
			t.Fatalf("table %s: it is not seen which fields make its key", table.Name())
		}
		feed.Keys[table.Name()] = columns
	}
	d.feed, d.sink = feed, &differentialSink{d: d, Sink: d.memory, kind: projector.TargetOf(p).Sink}
	d.recompute(nil)
	for round := 1; d.compared < n; round++ {
		d.round(ctx)
		if t.Failed() {
			t.Fatalf("seed %d, round %d, %d comparisons before", seed, round, d.compared)
		}
	}
	d.stop()
}

// differential is a test at work.
type differential struct {
	testing.TB
	p      projector.Projector
	rnd    *rand.Rand
	tables []RandomTable
	log    *eventstore.MemoryLog
	feed   *Feed
	memory *projector.MemorySink
	sink   *differentialSink

	newStates func() projector.LocalStates
	states    forgetfulStates

	mu       sync.Mutex
	history  []map[string][]byte // documents by csn
	last     []Change
	compared int
	records  int // until reading breaks off; 0: it does not

	runner *projector.Runner
	cancel context.CancelFunc
	done   chan error
}

// recompute adds the documents of the tables as they are now to the history.
func (d *differential) recompute(changes []Change) {
	d.Helper()
	rows := func(table string) [][]byte { return slices.Collect(maps.Values(d.feed.tables[table])) }
	var docs map[string][]byte
	var err error
	switch p := d.p.(type) {
	case JoinUnderTest:
		docs, err = p.Recompute(rows)
	case FoldUnderTest:
		docs, err = p.FromRows(rows)
	default:
		err = errors.New("want a Join or a Fold: the documents of a Query are not made of the log")
	}
	if err != nil {
		d.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.history, d.last = append(d.history, docs), changes
}

// round commits some transactions, lets the runner reach them, and compares.
func (d *differential) round(ctx context.Context) {
	d.Helper()
	for range 1 + d.rnd.IntN(6) {
		changes := d.transaction()
		if err := d.feed.Append(ctx, changes...); err != nil {
			d.Fatal(err)
		}
		d.recompute(changes)
		if d.rnd.IntN(3) == 0 {
			d.watermark(ctx)
		}
	}
	d.watermark(ctx)
	if d.rnd.IntN(12) == 0 {
		d.sink.fail()
	}
	if d.rnd.IntN(15) == 0 {
		d.states.forget.Store(true)
	}
	if d.rnd.IntN(25) == 0 {
		d.mu.Lock()
		d.records = 1 + d.rnd.IntN(8)
		d.mu.Unlock()
	}
	for {
		d.start(ctx)
		waiting, cancel := context.WithTimeout(ctx, patience)
		err := d.runner.WaitFor(waiting, d.runner.Status()[0].Projector, d.feed.CSN())
		cancel()
		if parked := errors.Is(err, projector.ErrParked); err == nil || parked {
			if parked != d.anyParked() {
				d.Fatalf("waiting returned %v at csn %d, where it is %v that documents cannot be made", err, d.feed.CSN(), d.anyParked())
			}
			break
		}
		if !d.sink.failed() {
			d.Fatal(err)
		}
		d.stop()
	}
	if d.rnd.IntN(3) == 0 {
		d.sink.arrive(ctx)
	}
	want := d.history[d.feed.CSN()]
	got := map[string][]byte{}
	for doc := range d.memory.Each(projector.TargetOf(d.p).Name) {
		got[doc.ID] = doc.Body
	}
	for id := range want {
		if got[id] == nil {
			got[id] = nil
		}
	}
	for id, body := range got {
		if made, known := want[id]; known && made == nil {
			continue // parked
		}
		d.compare("in the sink", id, d.feed.CSN(), body, want[id])
	}
	switch d.rnd.IntN(10) {
	case 0:
		d.stop()
	case 1:
		d.stop()
		d.states.LocalStates = d.newStates()
	}
}

// anyParked tells whether there are documents that cannot be made.
func (d *differential) anyParked() bool {
	for _, body := range d.history[d.feed.CSN()] {
		if body == nil {
			return true
		}
	}
	return false
}

func (d *differential) compare(where, id string, csn eventstore.CSN, got, want []byte) {
	d.Helper()
	d.mu.Lock()
	d.compared++
	d.mu.Unlock()
	if got == nil && want == nil || got != nil && want != nil && sameJSON(got, want) {
		return
	}
	if got != nil && want != nil {
		d.Errorf("document %q %s at csn %d is not what a full recompute gives:\n%s\nthe last transaction was %+v", id, where, csn, diffJSON(got, want), d.last)
		return
	}
	d.Errorf("document %q %s at csn %d is\n%s\na full recompute gives\n%s\nthe last transaction was %+v", id, where, csn, orNone(got), orNone(want), d.last)
}

// breakOff lets reading end within a cut, to go on after a while.
func (d *differential) breakOff(string) Fate {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.records > 0 {
		if d.records--; d.records == 0 {
			return Lose
		}
	}
	return Pass
}

func orNone(body []byte) string {
	if body == nil {
		return "\tnone"
	}
	return indent(body)
}

func (d *differential) watermark(ctx context.Context) {
	if err := d.feed.Watermark(ctx); err != nil {
		d.Fatal(err)
	}
}

func (d *differential) start(ctx context.Context) {
	if d.runner != nil {
		return
	}
	runner, err := projector.NewRunner(projector.Config{Log: NewFaultyLog(d.log, d.breakOff), Sinks: []projector.Sink{d.sink}, Projectors: []projector.Projector{d.p}, States: &d.states,
		Window: time.Duration(1+d.rnd.IntN(20)) * time.Millisecond, WindowTargets: 1 + d.rnd.IntN(20), BatchDocuments: 1 + d.rnd.IntN(10)})
	if err != nil {
		d.Fatal(err)
	}
	running, cancel := context.WithCancel(ctx)
	d.runner, d.cancel, d.done = runner, cancel, make(chan error, 1)
	go func() { d.done <- runner.Run(running) }()
}

func (d *differential) stop() {
	d.Helper()
	if d.runner == nil {
		return
	}
	d.runner = nil
	d.cancel()
	if err := <-d.done; err != nil && !errors.Is(err, errKilled) {
		d.Error(err)
	}
	d.sink.failed()
}

// transaction makes a random transaction.
func (d *differential) transaction() (changes []Change) {
	d.Helper()
	touched := map[string]bool{} // rows that are not any more as the feed has them
	for range d.rnd.IntN(5) {
		table := d.tables[d.rnd.IntN(len(d.tables))].Name()
		row := d.row(table)
		key, err := d.feed.key(table, row)
		if err != nil {
			d.Fatal(err)
		}
		old, oldKey := d.anyRow(table)
		switch {
		case d.rnd.IntN(150) == 0:
			op := []eventstore.SchemaOp{eventstore.SchemaTruncate, eventstore.SchemaDrop}[d.rnd.IntN(2)]
			return append(changes, Execute(op, table)) // what follows would not know that the rows are gone
		case old == nil || touched[table+oldKey] || d.rnd.IntN(3) > 0:
			changes = append(changes, Put(table, row))
		case d.rnd.IntN(2) == 0:
			changes = append(changes, Del(table, old))
		case d.feed.tables[table][key] == nil && !touched[table+key]:
			changes = append(changes, Rekey(table, old, row))
		}
		touched[table+key], touched[table+oldKey] = true, true
	}
	return changes
}

// row makes a random row of a table.
func (d *differential) row(name string) json.RawMessage {
	d.Helper()
	i := slices.IndexFunc(d.tables, func(t RandomTable) bool { return t.Name() == name })
	row := reflect.New(d.tables[i].RowType())
	d.fill(row.Elem())
	text, err := json.Marshal(row.Interface())
	if err != nil {
		d.Fatalf("a row of table %s: %v", name, err)
	}
	return text
}

// anyRow returns one of a table's rows, nil where there is none.
func (d *differential) anyRow(table string) (row any, key string) {
	rows := d.feed.tables[table]
	if len(rows) == 0 {
		return nil, ""
	}
	keys := slices.Sorted(maps.Keys(rows))
	key = keys[d.rnd.IntN(len(keys))]
	return json.RawMessage(rows[key]), key
}

// fill gives a value's fields random values.
func (d *differential) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1 + d.rnd.Int64N(8))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1 + d.rnd.Uint64N(8))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(d.rnd.IntN(8)) / 4)
	case reflect.Bool:
		v.SetBool(d.rnd.IntN(2) == 0)
	case reflect.String:
		v.SetString([]string{"a", "b", "c", "d", "ä \"e\"", "<f>"}[d.rnd.IntN(6)])
	case reflect.Pointer:
		if d.rnd.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			d.fill(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				d.fill(v.Field(i))
			}
		}
	}
}

// differentialSink checks each write on its way, and may fail for good at one call, as if the process were killed there.
type differentialSink struct {
	projector.Sink
	d    *differential
	kind string

	mu     sync.Mutex
	calls  int // until it fails; 0: it does not
	broken bool
	late   []lateWrites

	delayed int
}

// lateWrites are a request of a process that was stopped while it was on its way.
type lateWrites struct {
	target     projector.Target
	generation uint64
	writes     []projector.Write
}

// arrive lets the sink have what was on its way.
func (s *differentialSink) arrive(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.late {
		if err := s.Sink.Apply(ctx, l.target, l.generation, l.writes, make([]projector.Result, len(l.writes))); err != nil {
			s.d.Error(err)
		}
	}
	s.late = nil
}

func (s *differentialSink) Kind() string { return s.kind }

func (s *differentialSink) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = 1 + s.d.rnd.IntN(3)
}

// failed tells whether it has failed, and mends it.
func (s *differentialSink) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	broken := s.broken
	s.broken = false
	return broken
}

var errKilled = errors.New("killed by the test")

// call counts down to the failure.
func (s *differentialSink) call() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls > 0 {
		if s.calls--; s.calls == 0 {
			s.broken = true
		}
	}
	if s.broken {
		return errKilled
	}
	return nil
}

func (s *differentialSink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	for _, w := range writes {
		s.d.mu.Lock()
		want, known := s.d.history[w.Version.CSN()][w.ID]
		s.d.mu.Unlock()
		if known && want == nil {
			s.d.Errorf("document %q was written at csn %d, where it cannot be made", w.ID, w.Version.CSN())
		}
		s.d.compare("as written", w.ID, w.Version.CSN(), w.Body, want)
	}
	before := s.call()
	if before != nil && s.delay(t, generation, writes) {
		return before
	}
	if err := s.Sink.Apply(ctx, t, generation, writes, results); err != nil {
		return err
	}
	return before // it landed, and nobody knows
}

// delay takes half of the requests that nobody waits for any more.
func (s *differentialSink) delay(t projector.Target, generation uint64, writes []projector.Write) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delayed++; s.delayed%2 == 0 {
		return false
	}
	late := lateWrites{t, generation, slices.Clone(writes)}
	for i, w := range late.writes {
		late.writes[i].Body = slices.Clone(w.Body)
	}
	s.late = append(s.late, late)
	return true
}

func (s *differentialSink) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	if err := s.call(); err != nil {
		return err
	}
	return s.Sink.SaveProgress(ctx, name, p)
}
