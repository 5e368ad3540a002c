package history

import (
	"strings"
)

// state rebuilds the tables from the log, record by record, and compares them with those of the database. That tables were renamed is taken from
// the binlog.
func (v *Verdict) state(e *Evidence, groups map[string]*group) {
	if e.State == nil {
		return
	}
	f := fold{v: v, e: e, tables: map[string]map[string]string{}}
	for i := range e.Binlog {
		t := &e.Binlog[i]
		for _, s := range t.Statements {
			f.rename(s)
		}
		if g := groups[t.GTID]; g != nil {
			for _, r := range g.records {
				f.record(r)
			}
		}
	}
	for table, want := range e.State {
		have := map[string]bool{}
		for _, row := range f.tables[table] {
			have[row] = true
			if !want[row] {
				v.found(&v.Phantom, "phantom", "a row of %s that the table does not have", table)
			}
		}
		for row := range want {
			if !have[row] {
				v.found(&v.Lost, "lost", "a row of table %s", table)
			}
		}
	}
	for table, rows := range f.tables {
		if _, exists := e.State[table]; !exists && len(rows) > 0 {
			v.found(&v.Phantom, "phantom", "%d rows of %s, which does not exist", len(rows), table)
		}
	}
}

type fold struct {
	v      *Verdict
	e      *Evidence
	tables map[string]map[string]string // the fixed columns of a row, by its key
}

// tableWords splits a statement of the check's own load into words: its names are plain, perhaps quoted by the server, perhaps with the schema.
func tableWords(text, schema string) []string {
	text, _, _ = strings.Cut(text, "/*")
	return strings.Fields(strings.NewReplacer("`", "", schema+".", "", ",", " ", "(", " ").Replace(text))
}

// endsRows returns the tables of which a statement ends all rows.
func endsRows(text, schema string) []string {
	switch words := tableWords(text, schema); {
	case len(words) > 2 && words[0] == "DROP" && words[1] == "TABLE", len(words) == 3 && words[0] == "TRUNCATE":
		return words[2:]
	case len(words) == 2 && words[0] == "TRUNCATE":
		return words[1:]
	}
	return nil
}

// rename moves the rows of renamed tables: RENAME TABLE a TO b, c TO d.
func (f *fold) rename(text string) {
	words := tableWords(text, f.e.Schema)
	if len(words) < 2 || words[0] != "RENAME" {
		return
	}
	for rest := words[2:]; len(rest) >= 3 && rest[1] == "TO"; rest = rest[3:] {
		f.tables[rest[2]] = f.tables[rest[0]]
		delete(f.tables, rest[0])
	}
}

// record applies one record. What it finds must be what its before image says.
func (f *fold) record(r *Record) {
	t, known := f.e.Tables[r.Table]
	if r.Op == 't' {
		clear(f.tables[r.Table])
	}
	if r.Tombstone || !known || len(r.Columns) < t.Fixed {
		return // no row, or reported already
	}
	image, before := r.After, f.text(r.Before, r)
	if image == nil {
		image = r.Before
	}
	key := f.text(image, r, t.Key)
	rows := f.tables[r.Table]
	if rows == nil {
		rows = map[string]string{}
		f.tables[r.Table] = rows
	}
	if rows[key] != before {
		f.v.found(&f.v.Reordered, "reordered", "%s does not follow what the records before it left", r.At())
	}
	if r.After == nil {
		delete(rows, key)
	} else {
		rows[key] = f.text(r.After, r)
	}
}

// text is the fixed columns of an image, or the first n; empty when there is none.
func (f *fold) text(image map[string]Value, r *Record, n ...int) string {
	if image == nil {
		return ""
	}
	columns := f.e.Tables[r.Table].Fixed
	if len(n) > 0 {
		columns = n[0]
	}
	values := make([]string, columns)
	for i, name := range r.Columns[:columns] {
		values[i] = image[name].Text
	}
	return strings.Join(values, "|")
}
