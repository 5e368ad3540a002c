package binlog

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// schemaChanges finds what a statement does to tables as a whole. It knows the statements that name tables; it parses no more of them
// than the names, so that the text of newer servers is no reason to stop. schema is the one of names that have none. ok is false when the
// statement ends the rows of a table whose name is not found.
func schemaChanges(text, schema string, mode sqlMode) (changes []cdc.SchemaChange, ok bool) {
	p := ddl{words: newWords(text, mode), schema: schema}
	switch verb := p.next(); {
	case verb.is("SET"): // SET STATEMENT variable = value FOR statement
		for word := p.next(); !word.end; word = p.next() {
			if word.is("FOR") {
				return schemaChanges(p.left(), schema, mode)
			}
		}
	case verb.is("CREATE"):
		p.create()
	case verb.is("ALTER"):
		p.alter()
	case verb.is("DROP"):
		p.drop()
	case verb.is("RENAME"):
		p.rename()
	case verb.is("TRUNCATE"):
		p.skip("TABLE")
		p.add(cdc.SchemaChange{Op: eventstore.SchemaTruncate})
	}
	return p.changes, !p.lost
}

// ddl reads a statement that defines data.
type ddl struct {
	words
	schema  string
	changes []cdc.SchemaChange
	lost    bool // a name that matters was not found
}

// skip passes over the keywords that come next.
func (p *ddl) skip(keywords ...string) (found bool) {
	for slices.ContainsFunc(keywords, p.peek().is) {
		p.next()
		found = true
	}
	return found
}

// name reads a table's name; table is empty where there is none.
func (p *ddl) name() (schema, table string) {
	if first := p.peek(); !first.isName() {
		return "", ""
	}
	schema, table = p.qualified(p.next())
	if schema == "" {
		schema = p.schema
	}
	return schema, table
}

// add reads the name of the changed table.
func (p *ddl) add(c cdc.SchemaChange) bool {
	if c.Schema, c.Table = p.name(); c.Table == "" {
		p.lost = p.lost || c.Op == eventstore.SchemaTruncate || c.Op == eventstore.SchemaDrop
		return false
	}
	p.changes = append(p.changes, c)
	return true
}

// create is behind CREATE: TABLE … or [kind of] INDEX … ON table.
func (p *ddl) create() {
	replaces := p.skip("OR", "REPLACE")
	switch {
	case p.peek().is("TABLE"):
		p.next()
		c := cdc.SchemaChange{Op: eventstore.SchemaCreate, IfNotExists: p.skip("IF", "NOT", "EXISTS")}
		if replaces {
			c.Op = eventstore.SchemaDrop
		}
		if p.add(c) && replaces {
			c := p.changes[0]
			c.Op = eventstore.SchemaCreate
			p.changes = append(p.changes, c)
		}
	default:
		p.skip("ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR")
		p.index()
	}
}

// index reads INDEX name … ON table.
func (p *ddl) index() {
	if !p.skip("INDEX") {
		return
	}
	for word := p.next(); !word.end; word = p.next() {
		if word.is("ON") {
			p.add(cdc.SchemaChange{Op: eventstore.SchemaAlter})
			return
		}
	}
}

// alter is behind ALTER: TABLE name …, with RENAME to another name among what it does.
func (p *ddl) alter() {
	p.skip("ONLINE", "OFFLINE", "IGNORE")
	if !p.skip("TABLE") {
		return
	}
	p.skip("IF", "EXISTS")
	if !p.add(cdc.SchemaChange{Op: eventstore.SchemaAlter}) {
		return
	}
	depth := 0
	for word := p.next(); !word.end; word = p.next() {
		switch {
		case word.is("("):
			depth++
		case word.is(")"):
			depth--
		case depth == 0 && word.is("RENAME") && !slices.ContainsFunc([]string{"COLUMN", "INDEX", "KEY"}, p.peek().is):
			p.skip("TO", "AS", "=")
			c := &p.changes[0]
			if schema, table := p.name(); table != "" {
				c.Op, c.ToSchema, c.ToTable = eventstore.SchemaRename, schema, table
			}
		}
	}
}

// drop is behind DROP: TABLE name, …, or INDEX name ON table, or DATABASE name.
func (p *ddl) drop() {
	switch {
	case p.skip("TABLE", "TABLES"):
		p.skip("IF", "EXISTS")
		for p.add(cdc.SchemaChange{Op: eventstore.SchemaDrop}) && p.skip(",") {
		}
	case p.skip("DATABASE", "SCHEMA"):
		p.skip("IF", "EXISTS")
		if name := p.next(); name.isName() {
			p.changes = append(p.changes, cdc.SchemaChange{Op: eventstore.SchemaDrop, Schema: name.text})
		}
	default:
		p.skip("ONLINE", "OFFLINE")
		p.index()
	}
}

// rename is behind RENAME: TABLE name TO name, ….
func (p *ddl) rename() {
	if !p.skip("TABLE", "TABLES") {
		return
	}
	p.skip("IF", "EXISTS")
	for p.add(cdc.SchemaChange{Op: eventstore.SchemaRename}) {
		for word := p.next(); !word.is("TO"); word = p.next() { // MariaDB: WAIT seconds, NOWAIT
			if word.end {
				p.changes = p.changes[:len(p.changes)-1]
				return
			}
		}
		c := &p.changes[len(p.changes)-1]
		if c.ToSchema, c.ToTable = p.name(); c.ToTable == "" {
			p.changes = p.changes[:len(p.changes)-1]
			return
		}
		if !p.skip(",") {
			return
		}
	}
}

// define takes a statement that defines data: what it does to captured tables goes into the next slice.
func (a *assembler) define(q queryEvent) error {
	changes, ok := schemaChanges(q.text, q.schema, q.mode)
	if !ok {
		return errors.New("the statement ends the rows of a table whose name is not found in it. Fix: start behind it, with what it did made good")
	}
	if q.premature {
		return nil
	}
	for i := range changes {
		c := &changes[i]
		if a.lowerNames {
			for _, name := range []*string{&c.Schema, &c.Table, &c.ToSchema, &c.ToTable} {
				*name = strings.ToLower(*name)
			}
		}
		c.Row = a.tx.rows
		a.tx.rows++
	}
	if changes = a.filter.Captured(changes); len(changes) > 0 {
		text := published(q.text, q.mode, max(maxStatement/len(changes), minStatement))
		if slices.ContainsFunc(changes, func(c cdc.SchemaChange) bool {
			return a.choice.columns.Concern(c.Schema, c.Table) || c.ToTable != "" && a.choice.columns.Concern(c.ToSchema, c.ToTable)
		}) {
			text = "" // it may name what is excluded, and hold a default value of what is masked
		}
		for i := range changes {
			changes[i].Statement = text
		}
		a.schema = append(a.schema, changes...)
	}
	return nil
}

// captured returns the table of a statement that the filter takes, or nil. schema is the one of names that have none.
func (a *assembler) captured(schema string, s statement) *table {
	for _, t := range []*table{{schema: s.schema, name: s.table}, {schema: s.otherSchema, name: s.otherTable}} {
		if t.schema == "" {
			t.schema = schema
		}
		if a.lowerNames {
			t.schema, t.name = strings.ToLower(t.schema), strings.ToLower(t.name)
		}
		if t.name != "" && a.filter.Match(t.schema, t.name) {
			return t
		}
	}
	return nil
}

// lowerNames tells whether the server keeps the names of tables in lower case.
func (c *conn) lowerNames(ctx context.Context) (bool, error) {
	mode, err := c.value(ctx, "SELECT @@GLOBAL.lower_case_table_names")
	return mode == "1", err
}

// maxStatement bounds a statement's text in the log, in bytes. All tables of a statement share it, down to minStatement for each.
const (
	maxStatement = 16 << 10
	minStatement = 512
)

// published returns a statement's text as it may stand in the log: strings that hold passwords of table options (CONNECTION,
// PASSWORD, a COMMENT with one) are blotted out, and a text longer than limit bytes is cut.
func published(text string, mode sqlMode, limit int) string {
	w := newWords(text, mode)
	var out strings.Builder
	done, option := 0, ""
	for word := w.scan(); !word.end; word = w.scan() {
		switch {
		case word.quote == 0 && word.text == "=":
			continue
		case word.quote == '\'', word.quote == '"' && mode&ansiQuotes == 0:
			if option == "CONNECTION" || strings.Contains(option, "PASSWORD") || strings.Contains(strings.ToUpper(word.text), "PASSWORD") {
				out.WriteString(text[done:word.from])
				out.WriteString("'***'")
				done = len(text) - len(w.rest)
			}
		}
		option = strings.ToUpper(word.text)
		if word.quote != 0 {
			option = ""
		}
		if out.Len() > limit {
			break
		}
	}
	out.WriteString(text[done:])
	text = strings.TrimSpace(out.String())
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
