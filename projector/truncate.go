package projector

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// truncated hands the end of a followed table's rows to the engine. op is what ended them: [eventstore.SchemaTruncate],
// [eventstore.SchemaDrop]; or [eventstore.SchemaCreate], which says that there are none.
func (l *loop) truncated(t table, op eventstore.SchemaOp, row *eventstore.RowChange) error {
	gone := *row
	gone.Schema, gone.Table = t.schema, t.name
	return l.engine.truncate(op, &gone)
}

// schemaChange takes a schema record. Of these only some concern rows that no record of a row topic speaks of.
func (l *loop) schemaChange(rec *eventstore.Record) error {
	var c eventstore.SchemaChange
	if err := eventstore.ParseSchema(rec, &c); err != nil {
		return &RowError{Projector: l.def.name, Table: rec.Topic, Place: rec.Place, Err: err}
	}
	wholeSchema := c.Op == eventstore.SchemaDrop && c.Table == ""
	if !wholeSchema && (c.Op != eventstore.SchemaCreate || c.IfNotExists) {
		return nil
	}
	followed := slices.Compact(slices.SortedFunc(slices.Values(l.def.tables), func(a, b table) int {
		return cmp.Or(cmp.Compare(a.schema, b.schema), cmp.Compare(a.name, b.name))
	}))
	for _, t := range followed {
		if t.schema != c.Schema || !wholeSchema && t.name != c.Table {
			continue
		}
		if err := l.truncated(t, c.Op, &eventstore.RowChange{GTID: c.GTID, Time: c.Time, Place: c.Place}); err != nil {
			return err
		}
	}
	return nil
}

// truncate removes the table's rows one by one, in the order of their keys.
func (e *foldEngine[D]) truncate(_ eventstore.SchemaOp, row *eventstore.RowChange) error {
	keys := map[string]bool{}
	for _, s := range e.sources[table{row.Schema, row.Table}] {
		s.addKeys(keys)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		gone := *row
		gone.Op, gone.Key = 'd', []byte(key)
		if err := e.change(&gone); err != nil {
			return err
		}
	}
	return nil
}

func (s *rowSource[T, D]) addKeys(keys map[string]bool) {
	for key := range s.rows {
		keys[key] = true
	}
}

var errTruncated = errors.New("the table was emptied, and it is not known which documents its rows concerned. Raise the projector's Version to " +
	"build the read model anew")

// truncate finds out whether documents may be left that show the table's rows. There are none when no row was seen since the log's
// beginning, nor when what emptied the table was in the log before the generation was begun: then every document was loaded from a
// database that had executed it; see [queryEngine.flush].
func (e *queryEngine) truncate(op eventstore.SchemaOp, row *eventstore.RowChange) error {
	t := table{row.Schema, row.Table}
	if op == eventstore.SchemaCreate || e.progress == 0 && !e.seen[t] || row.CSN <= e.loop.saved.Begun {
		return nil
	}
	return &RowError{Projector: e.query.Name, Table: t.String(), Place: row.Place, Err: errTruncated}
}
