package binlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// relayed runs a relay from the source into log until the log has all of until.
func relayed(t *testing.T, source cdc.Source, log eventstore.Log, until cdc.Position) {
	t.Helper()
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- relay.Run(ctx)
		cancel()
	}()
	for cut, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if covered, err := cut.Watermark.Position.Covers(until.GTIDs); err != nil {
			t.Fatal(err)
		} else if covered {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("relay: %v", err)
	}
}

// replay is a consumer of the log that keeps the rows of every table, by the rules of docs/wire-format.md.
type replay struct {
	*recorder
	filter  cdc.Filter
	schemas eventstore.Schemas
	rows    map[string]map[string]string // table, key, image
	keys    map[string][]string          // the key's columns, by table
	said    map[*step][]string           // of schema records
	checked int
}

// replayed reads the log and compares each record with what the server showed at its place.
func replayed(t *testing.T, log eventstore.Log, r *recorder, filter cdc.Filter) *replay {
	t.Helper()
	p := &replay{recorder: r, filter: filter, rows: map[string]map[string]string{}, keys: map[string][]string{}, said: map[*step][]string{}}
	head, _, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for cut, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range cut.Records() {
			if err != nil {
				t.Fatal(err)
			}
			if rec.Topic == eventstore.SchemaTopic {
				p.schema(rec)
			} else if rec.Value != nil {
				p.row(rec)
			}
		}
		if cut.CSN >= head.CSN {
			break
		}
	}
	for i := range r.steps {
		s := &r.steps[i]
		if got, want := fmt.Sprint(p.said[s]), fmt.Sprint(s.schema); got != want {
			t.Errorf("schema records of %q: got %s, want %s", s.statement, got, want)
		}
	}
	for table, s := range r.now {
		if filter.Match(r.db.schema, table) && !maps.Equal(p.rows[table], s.rows) {
			t.Errorf("rows of %s at the end: got %d, want %d:\n%v\n%v", table, len(p.rows[table]), len(s.rows), p.rows[table], s.rows)
		}
	}
	for table, rows := range p.rows {
		if r.now[table] == nil && len(rows) > 0 {
			t.Errorf("%d rows are left of table %s, which is gone", len(rows), table)
		}
	}
	return p
}

// schema takes a schema record.
func (p *replay) schema(rec *eventstore.Record) {
	p.Helper()
	var c eventstore.SchemaChange
	if err := eventstore.ParseSchema(rec, &c); err != nil {
		p.Fatal(err)
	}
	if c.Op == eventstore.SchemaDefine {
		p.schemas.Observe(&c)
		return
	}
	s := p.of(c.GTID)
	rewritten := strings.HasPrefix(s.statement, "DROP TABLE") || strings.Contains(s.statement, "SELECT") // by the server, with the names it took
	if !rewritten && c.Statement != s.statement {
		p.Errorf("%s of %s.%s: the statement is %q, want %q", c.Op, c.Schema, c.Table, c.Statement, s.statement)
	}
	text := fmt.Sprintf("%s %s.%s", c.Op, c.Schema, c.Table)
	switch {
	case c.Op == eventstore.SchemaRename:
		text += fmt.Sprintf(" > %s.%s", c.ToSchema, c.ToTable)
		// Rows go along when both names are captured. A swap with a table that is not leaves them where they are.
		if p.filter.Match(c.Schema, c.Table) && p.filter.Match(c.ToSchema, c.ToTable) {
			p.rows[c.ToTable], p.keys[c.ToTable] = p.rows[c.Table], p.keys[c.Table]
			delete(p.rows, c.Table)
			delete(p.keys, c.Table)
		}
	case c.Op == eventstore.SchemaCreate && !c.IfNotExists:
		delete(p.rows, c.Table)
	case c.Op == eventstore.SchemaCreate:
		text += " if not exists"
	}
	p.said[s] = append(p.said[s], text)
}

// row takes a row record.
func (p *replay) row(rec *eventstore.Record) {
	p.Helper()
	var c eventstore.RowChange
	if err := eventstore.ParseRow(rec, &c); err != nil {
		p.Fatal(err)
	}
	if c.Op == 't' {
		if string(c.Key) != "{}" || c.Before != nil || c.After != nil {
			p.Errorf("truncate of %s has a key or an image", c.Table)
		}
		delete(p.rows, c.Table)
		return
	}
	s := p.of(c.GTID)
	d, ok := p.schemas.Lookup(c.Definition)
	if !ok {
		p.Fatalf("%q: the definition %s of %s is not in the log", s.statement, c.Definition, c.Table)
	}
	p.definition(s, d)
	p.image(s, "before", s.before[c.Table], c.Key, c.Before)
	p.image(s, "after", s.after[c.Table], c.Key, c.After)
	if p.rows[c.Table] == nil {
		p.rows[c.Table] = map[string]string{}
	}
	if !slices.Equal(p.keys[c.Table], d.Key) {
		p.rekey(c.Table, d.Key)
	}
	if c.After == nil {
		delete(p.rows[c.Table], string(c.Key))
	} else {
		p.rows[c.Table][string(c.Key)] = string(c.After)
	}
	p.checked++
}

// definition compares a definition with the server's columns.
func (p *replay) definition(s *step, d *eventstore.TableDefinition) {
	p.Helper()
	shown := s.after[d.Table]
	if shown == nil {
		p.Fatalf("%q: a row of table %s, which was not there", s.statement, d.Table)
	}
	var got, want []string
	for _, c := range d.Columns {
		got = append(got, c.Name)
	}
	for _, c := range shown.columns {
		want = append(want, c.name)
	}
	if !slices.Equal(got, want) || !slices.Equal(d.Key, shown.key) {
		p.Errorf("%q: columns of %s: got %q with key %q, want %q with key %q", s.statement, d.Table, got, d.Key, want, shown.key)
	}
}

// image compares an image with the row that the server showed.
func (p *replay) image(s *step, which string, shown *shape, key, image []byte) {
	p.Helper()
	if image == nil {
		return
	}
	if want := shown.rows[string(key)]; string(image) != want {
		p.Errorf("%q: %s image of %s: got %s, want %s", s.statement, which, key, image, want)
	}
}

// rekey files a table's rows under another key's columns.
func (p *replay) rekey(table string, columns []string) {
	p.Helper()
	rows := map[string]string{}
	for _, image := range p.rows[table] {
		var key []string
		for _, c := range columns {
			key = append(key, quoted(c)+":"+member(image, c))
		}
		rows["{"+strings.Join(key, ",")+"}"] = image
	}
	p.rows[table], p.keys[table] = rows, columns
}

// member returns the raw value of a number's column, which keys are in these tests; one that the image does not have is the default, 1.
func member(image, column string) string {
	_, rest, found := strings.Cut(image, quoted(column)+":")
	if !found {
		return "1"
	}
	return rest[:strings.IndexAny(rest, ",}")]
}
