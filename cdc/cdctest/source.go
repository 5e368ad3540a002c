package cdctest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
)

// Row is a row of a [Database]'s tables.
type Row struct {
	ID   int
	Name string
}

// Statement changes one row. Table is "item", "other" or "ignored"; the source's filter leaves "ignored" out.
type Statement struct {
	Op    cdc.Op
	Table string
	Row   Row
	NewID int // an update that changes the key; else 0
}

// Database is what the suite drives: an empty database with the tables item, other and ignored, each (id int primary key,
// name varchar), and a source that follows it and nothing else.
type Database interface {
	Source() cdc.Source
	// Commit executes the statements in one transaction and returns its GTID when it has committed.
	Commit(t *testing.T, statements ...Statement) string
	// Rollback executes them and rolls back.
	Rollback(t *testing.T, statements ...Statement)
	// Prepare executes them in an XA transaction named xid (ASCII letters and digits), and prepares it. It returns the prepare's GTID.
	Prepare(t *testing.T, xid string, statements ...Statement) string
	// Complete commits or rolls back what was prepared under xid, and returns the GTID of that.
	Complete(t *testing.T, xid string, commit bool) string
	// Purge makes the transactions before now unreadable.
	Purge(t *testing.T)
}

// Harness opens databases.
type Harness struct {
	// Open returns a new database. Cleanup is registered with t.
	Open func(t *testing.T) Database
	// SliceRows is a number of changes that is certainly more than one slice holds.
	SliceRows int
}

// TestSource runs the suite. The harness's database may be shared by several tests running one after the other, as long as its
// source's stream begins where Executed says.
func TestSource(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"Order", testOrder},
		{"Images", testImages},
		{"KeyChange", testKeyChange},
		{"EmptyAndFiltered", testFiltered},
		{"Rollback", testRollback},
		{"XA", testXA},
		{"ResumeAnywhere", testResume},
		{"HugeTransaction", testHuge},
		{"Live", testLive},
		{"CloseWakesNext", testClose},
		{"CancelWakesNext", testCancel},
		{"PositionLost", testPositionLost},
		{"Check", func(t *testing.T, h Harness) {
			if err := h.Open(t).Source().Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

func insert(table string, id int, name string) Statement {
	return Statement{Op: cdc.Create, Table: table, Row: Row{id, name}}
}

func update(table string, id int, name string) Statement {
	return Statement{Op: cdc.Update, Table: table, Row: Row{id, name}}
}

func remove(table string, id int) Statement {
	return Statement{Op: cdc.Delete, Table: table, Row: Row{ID: id}}
}

// transaction is what the suite keeps of a transaction: everything, as text.
type transaction struct {
	ID      string
	Changes []string
	slices  int
	end     cdc.Slice
}

// read returns the n transactions after from.
func read(t *testing.T, source cdc.Source, from cdc.Position, n int) []transaction {
	t.Helper()
	stream, err := source.Open(t.Context(), from)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer stream.Close()
	var out []transaction
	for open := false; len(out) < n || open; {
		slice, err := stream.Next(t.Context())
		if err != nil {
			t.Fatalf("next after %d transactions: %v", len(out), err)
		}
		if slice.First == open {
			t.Fatalf("slice of %s: First is %v inside an open transaction: %v", slice.ID, slice.First, open)
		}
		if slice.First {
			out = append(out, transaction{ID: slice.ID})
		}
		tx := &out[len(out)-1]
		if slice.ID != tx.ID {
			t.Fatalf("slice of %s inside of %s", slice.ID, tx.ID)
		}
		for _, c := range slice.Changes {
			tx.Changes = append(tx.Changes, describe(t, &c))
		}
		tx.slices++
		if open = !slice.Last; !open {
			tx.end = *slice
			tx.end.Changes = nil
		}
	}
	return out
}

func describe(t *testing.T, c *cdc.Change) string {
	t.Helper()
	for _, image := range [][]byte{c.Key, c.OldKey, c.Before, c.After} {
		if image != nil && !json.Valid(image) {
			t.Fatalf("not JSON: %q", image)
		}
	}
	part := func(b []byte) string {
		if b == nil {
			return "-"
		}
		return string(b)
	}
	return fmt.Sprintf("%d %c %s key %s old %s before %s after %s", c.Row, c.Op, c.Table.Name, part(c.Key), part(c.OldKey), part(c.Before), part(c.After))
}

func executed(t *testing.T, source cdc.Source) cdc.Position {
	t.Helper()
	p, err := source.Executed(t.Context())
	if err != nil {
		t.Fatalf("executed: %v", err)
	}
	return p
}

func ids(txs []transaction) []string {
	var out []string
	for _, tx := range txs {
		out = append(out, tx.ID)
	}
	return out
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func testOrder(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	var want []string
	for i := range 20 {
		want = append(want, db.Commit(t, insert("item", i, "a"), update("item", i, "b"), insert("other", i, "c")))
	}
	got := read(t, db.Source(), from, 20)
	equal(t, "ids in commit order", ids(got), want)
	for i, tx := range got {
		if len(tx.Changes) != 3 {
			t.Fatalf("transaction %d has %d changes, want 3: %q", i, len(tx.Changes), tx.Changes)
		}
		if tx.end.Time.IsZero() || tx.end.Server == "" || tx.end.File == "" || tx.end.Offset == 0 {
			t.Errorf("transaction %d ends without time or place: %+v", i, tx.end)
		}
	}
	end := executed(t, db.Source())
	for _, id := range want {
		if covered, err := end.Covers(id); err != nil || !covered {
			t.Errorf("executed %v does not cover %s: %v", end, id, err)
		}
		if covered, err := from.Covers(id); err != nil || covered {
			t.Errorf("the position before covers %s: %v", id, err)
		}
	}
}

func testImages(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	db.Commit(t, insert("item", 1, `ä"\`+"\n<>"))
	db.Commit(t, update("item", 1, ""))
	db.Commit(t, remove("item", 1))
	got := read(t, db.Source(), from, 3)
	row := func(name string) string {
		var text strings.Builder
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(name); err != nil {
			t.Fatal(err)
		}
		return `{"id":1,"name":` + strings.TrimSpace(text.String()) + `}`
	}
	first, second := row(`ä"\`+"\n<>"), row("")
	equal(t, "insert", got[0].Changes, []string{`0 c item key {"id":1} old - before - after ` + first})
	equal(t, "update", got[1].Changes, []string{`0 u item key {"id":1} old - before ` + first + ` after ` + second})
	equal(t, "delete", got[2].Changes, []string{`0 d item key {"id":1} old - before ` + second + ` after -`})
}

func testKeyChange(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	db.Commit(t, insert("item", 1, "a"))
	db.Commit(t, Statement{Op: cdc.Update, Table: "item", Row: Row{1, "a"}, NewID: 2})
	got := read(t, db.Source(), from, 2)
	equal(t, "key change", got[1].Changes, []string{`0 u item key {"id":2} old {"id":1} before {"id":1,"name":"a"} after {"id":2,"name":"a"}`})
}

func testFiltered(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	a := db.Commit(t, insert("ignored", 1, "a"))
	b := db.Commit(t, insert("ignored", 2, "b"), insert("item", 1, "c"), insert("ignored", 3, "d"), insert("item", 2, "e"))
	got := read(t, db.Source(), from, 2)
	equal(t, "ids", ids(got), []string{a, b})
	equal(t, "filtered transaction", len(got[0].Changes), 0)
	equal(t, "rows count the filtered ones", got[1].Changes, []string{
		`1 c item key {"id":1} old - before - after {"id":1,"name":"c"}`,
		`3 c item key {"id":2} old - before - after {"id":2,"name":"e"}`})
}

func testRollback(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	db.Rollback(t, insert("item", 1, "a"))
	want := db.Commit(t, insert("item", 2, "b"))
	got := read(t, db.Source(), from, 1)
	equal(t, "ids", ids(got), []string{want})
	equal(t, "changes", got[0].Changes, []string{`0 c item key {"id":2} old - before - after {"id":2,"name":"b"}`})
}

// testXA: the rows of an XA transaction come with its commit, and never after a rollback.
func testXA(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	var want []string
	add := func(id string) { want = append(want, id) }
	add(db.Prepare(t, "one", insert("item", 1, "a"), insert("ignored", 1, "a"), update("item", 1, "b")))
	add(db.Prepare(t, "two", insert("item", 2, "c")))
	add(db.Commit(t, insert("item", 3, "d")))
	add(db.Complete(t, "two", false))
	add(db.Complete(t, "one", true))
	add(db.Prepare(t, "two", insert("ignored", 2, "e"))) // the name again, and no row that passes the filter
	add(db.Complete(t, "two", true))
	got := read(t, db.Source(), from, 7)
	equal(t, "ids", ids(got), want)
	for i, tx := range got {
		prepares, completes := i == 0 || i == 1 || i == 5, i == 3 || i == 4 || i == 6
		if p := tx.end.Prepared; (p != nil) != prepares || p != nil && (p.GTID != tx.ID || p.XID == "") {
			t.Errorf("transaction %d: prepared is %+v", i, p)
		}
		if (tx.end.Completed != "") != completes {
			t.Errorf("transaction %d: completed is %q", i, tx.end.Completed)
		}
		if i != 2 && i != 4 && len(tx.Changes) != 0 {
			t.Errorf("transaction %d has changes: %q", i, tx.Changes)
		}
	}
	for prepare, end := range map[int]int{0: 4, 1: 3, 5: 6} {
		if p := got[prepare].end.Prepared; p != nil && p.XID != got[end].end.Completed {
			t.Errorf("transaction %d completes %q, want %q", end, got[end].end.Completed, p.XID)
		}
	}
	equal(t, "commit", got[4].Changes, []string{`0 c item key {"id":1} old - before - after {"id":1,"name":"a"}`,
		`2 u item key {"id":1} old - before {"id":1,"name":"a"} after {"id":1,"name":"b"}`})
}

// testResume reads everything once, then again from the position after each transaction: the same, to the byte. XA transactions are
// open at most of the positions.
func testResume(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	db.Prepare(t, "a", insert("item", 100, "p"), insert("other", 100, "q"))
	n := 1
	for i := range 6 {
		db.Commit(t, insert("item", i, "x"), insert("other", i, "y"))
		n++
		switch i {
		case 1:
			db.Prepare(t, "b", insert("item", 101, "r"))
		case 2:
			db.Complete(t, "a", true)
		case 3:
			db.Prepare(t, "c", insert("item", 102, "s"))
		case 4:
			db.Complete(t, "c", false)
		case 5:
			db.Complete(t, "b", true)
		default:
			continue
		}
		n++
	}
	all := read(t, db.Source(), from, n)
	position := from
	for i := range all {
		equal(t, fmt.Sprintf("from position %d", i), read(t, db.Source(), position, n-i), all[i:])
		var err error
		if position, err = cdc.Advance(position, &all[i].end); err != nil {
			t.Fatal(err)
		}
	}
	if end := executed(t, db.Source()); end.GTIDs != position.GTIDs || len(position.Prepared) != 0 {
		t.Errorf("position at the end is %v with %v prepared, executed %v", position, position.Prepared, end)
	}
}

func testHuge(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	var statements []Statement
	for i := range h.SliceRows {
		statements = append(statements, insert("item", i, "some text in a row"))
	}
	db.Commit(t, statements...)
	db.Commit(t, remove("item", 0))
	got := read(t, db.Source(), from, 2)
	if got[0].slices < 2 {
		t.Errorf("a transaction of %d rows came in %d slice", h.SliceRows, got[0].slices)
	}
	if len(got[0].Changes) != h.SliceRows {
		t.Fatalf("got %d changes, want %d", len(got[0].Changes), h.SliceRows)
	}
	for i, c := range got[0].Changes {
		if want := fmt.Sprintf(`%d c item key {"id":%d} `, i, i); !strings.HasPrefix(c, want) {
			t.Fatalf("change %d is %s", i, c)
		}
	}
}

// testLive: a stream that waits gets what is committed later; two streams do not disturb each other.
func testLive(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	type result struct {
		id  string
		err error
	}
	results := make(chan result, 2)
	for range 2 {
		stream, err := db.Source().Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		go func() {
			slice, err := stream.Next(t.Context())
			if err != nil {
				results <- result{err: err}
				return
			}
			results <- result{id: slice.ID}
		}()
	}
	want := db.Commit(t, insert("item", 1, "a"))
	for range 2 {
		if got := <-results; got.err != nil || got.id != want {
			t.Errorf("got %q, %v; want %q", got.id, got.err, want)
		}
	}
}

func testClose(t *testing.T, h Harness) {
	db := h.Open(t)
	stream, err := db.Source().Open(t.Context(), executed(t, db.Source()))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := stream.Next(context.Background())
		failed <- err
	}()
	stream.Close()
	if err := <-failed; err == nil {
		t.Error("Next returned without an error after Close")
	}
}

func testCancel(t *testing.T, h Harness) {
	db := h.Open(t)
	stream, err := db.Source().Open(t.Context(), executed(t, db.Source()))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := stream.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func testPositionLost(t *testing.T, h Harness) {
	db := h.Open(t)
	from := executed(t, db.Source())
	db.Commit(t, insert("item", 1, "a"))
	db.Purge(t)
	db.Commit(t, insert("item", 2, "a"))
	if _, err := db.Source().Oldest(t.Context()); !errors.Is(err, cdc.ErrPositionLost) {
		t.Errorf("oldest after a purge: got %v, want ErrPositionLost", err)
	}
	stream, err := db.Source().Open(t.Context(), from)
	if err == nil {
		defer stream.Close()
		_, err = stream.Next(t.Context())
	}
	if !errors.Is(err, cdc.ErrPositionLost) {
		t.Errorf("open at a purged position: got %v, want ErrPositionLost", err)
	}
}
