package binlog

import (
	"fmt"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/internal/gtid"
)

// mapping is a table id's meaning in a statement.
type mapping struct {
	id    uint64
	table *table
}

func (a *assembler) tableMap(e event) error {
	c := cursor{rest: e.body}
	id, schema, name := parseTableName(&c)
	if c.bad {
		return a.fail(fmt.Errorf("table map: %w", errShort))
	}
	t := a.cache.get(id, e.body)
	if t == nil {
		t = a.newTable(e.body, string(schema), string(name))
		a.cache.put(id, e.body, t)
	}
	a.mapped = append(a.mapped, mapping{id, t})
	return nil
}

// newTable prepares a table. What is wrong with it is said when a row of it comes: a statement maps tables it does not change.
func (a *assembler) newTable(body []byte, schema, name string) *table {
	m, err := parseTableMap(body, a.flavor == gtid.MariaDB)
	if !a.filter.Match(schema, name) || err == nil && m.isSequence() {
		if err != nil {
			m = &tableMap{schema: schema, name: name}
		}
		t := newSkipped(m)
		t.sized = t.sized && err == nil
		return t
	}
	var t *table
	if err == nil {
		t, err = newTable(m, a.charsets, a.choice)
	}
	if err != nil {
		return &table{schema: schema, name: name, refused: err}
	}
	return t
}

func (a *assembler) find(id uint64) *table {
	for i := len(a.mapped) - 1; i >= 0; i-- {
		if a.mapped[i].id == id {
			return a.mapped[i].table
		}
	}
	return nil
}

func (a *assembler) rowsEvent(e event) error {
	if !a.tx.open || !a.tx.began {
		return a.fail(fmt.Errorf("%s outside a transaction", e.name()))
	}
	r, endOfStatement, err := parseRows(e, a.find)
	if err == nil && r.partial.lacks() && !a.partialRows {
		err = errRowImage
	}
	if err == nil && len(r.rest) > 0 {
		switch e.kind {
		case replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1,
			replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1:
			r.rest, err = a.inflater.inflate(r.rest)
		}
	}
	if err != nil {
		return a.failTable(r.table, err)
	}
	if endOfStatement {
		a.mapped = a.mapped[:0]
	}
	a.rows = r
	return nil
}
