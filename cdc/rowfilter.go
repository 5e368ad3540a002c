package cdc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/millrace-go/millrace/internal/jsonscan"
	"github.com/millrace-go/millrace/internal/pattern"
)

// RowFilter lets a function choose rows. A row has to pass every filter that matches its table.
//
// The log then has what a table with only those rows would have had: an update that brings a row in is a create, one that takes it
// out is a delete with its tombstone. Rows that are left out keep their numbers, so records have the same index with and without the filter.
type RowFilter struct {
	// Tables is a pattern of the form "schema.table", with the wildcards of [path.Match].
	Tables string
	// Name stands for Keep in the log, where it tells a relay whether an unfinished end was written with the same filter: give it
	// another name when Keep begins to answer otherwise, e.g. "germany-2".
	Name string
	// Keep tells whether a row is in the log. It is asked for each image of a changed row, by one goroutine at a time, and must depend
	// on nothing but its arguments, which are valid during the call. It sees masked values as they are masked. A panic stops the relay
	// with a [*RowFilterError], and so does a row whose images lack columns (binlog_row_image is not FULL): what a filter needs to know
	// may be missing.
	//
	// A function that only stops to panic, and answers as before otherwise, may keep its name.
	Keep func(table *Table, row Row) bool
}

func (f *RowFilter) validate() error {
	errs := []error{pattern.CheckTable(f.Tables)}
	if f.Name == "" {
		errs = append(errs, errors.New("Name is missing"))
	}
	if f.Keep == nil {
		errs = append(errs, errors.New("Keep is missing"))
	}
	return errors.Join(errs...)
}

// Row is one image of a row, for a [RowFilter].
type Row struct{ image []byte }

// RowOf returns the row of an image, a JSON object as in [Change], e.g. to test a filter.
func RowOf(image []byte) Row { return Row{image} }

// Value returns a column's value as it stands in the record: JSON, e.g. `"DE"`, `42` or `null`. The name is spelled as the table spells it.
// ok is false when the image does not have the column: there is none of that name, or it is excluded. The value is part of the image: it must not be modified. Value allocates nothing.
func (r Row) Value(column string) (value []byte, ok bool) {
	_ = jsonscan.Object(r.image, func(key, v []byte) bool {
		if ok = sameName(key, column); ok {
			value = v
		}
		return !ok
	})
	return value, ok
}

// sameName compares a member's raw name.
func sameName(raw []byte, name string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	var text string
	err := json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &text)
	return err == nil && text == name
}

// RowFilterError says that a [RowFilter] has panicked, or could not be asked. It never holds row data: of a panic's value only what the
// runtime says, and the type of any other.
type RowFilterError struct {
	Filter string // its name
	Table  string // schema.table
	ID     string // of the transaction
	Row    uint64 // position in it
	Err    error
	Stack  []byte // of a panic
}

func (e *RowFilterError) Error() string {
	return fmt.Sprintf("row filter %q on row %d of transaction %s, table %s: %v", e.Filter, e.Row, e.ID, e.Table, e.Err)
}

// Unwrap returns the cause.
func (e *RowFilterError) Unwrap() error { return e.Err }

// verdict is what row filters make of a change.
type verdict uint8

const (
	passes  verdict = iota
	dropped         // none of its images is kept
	leaves          // an update of which only the before image is kept
	enters          // an update of which only the after image is kept
)

var errAbsent = errors.New("the row's images lack columns, and a filter needs them all. Fix: SET GLOBAL binlog_row_image = 'FULL' (sessions keep " +
	"their own setting), and start behind the changes that were written before; or filter another table")

// judge asks the filters about every row of slice, before anything of it is rendered.
func (f *flush) judge(slice *Slice) error {
	f.verdicts = f.verdicts[:0]
	if len(f.rules.filters) == 0 {
		return nil
	}
	for i := range slice.Changes {
		c := &slice.Changes[i]
		v, err := judgeChange(f.placeOf(c.Table).filters, c)
		if err != nil {
			err.ID = slice.ID
			return err
		}
		f.verdicts = append(f.verdicts, v)
	}
	return nil
}

func judgeChange(filters []*RowFilter, c *Change) (verdict, *RowFilterError) {
	if len(filters) == 0 || c.Before == nil && c.After == nil {
		return passes, nil
	}
	if c.Absent != nil {
		return 0, &RowFilterError{Filter: filters[0].Name, Table: c.Table.String(), Row: c.Row, Err: errAbsent}
	}
	before, after := c.Before != nil, c.After != nil
	for _, f := range filters {
		for _, side := range []struct {
			kept  *bool
			image []byte
		}{{&before, c.Before}, {&after, c.After}} {
			if !*side.kept {
				continue
			}
			kept, err := f.ask(c, Row{side.image})
			if err != nil {
				return 0, err
			}
			*side.kept = kept
		}
	}
	switch {
	case !before && !after:
		return dropped, nil
	case c.Op != Update || before && after:
		return passes, nil
	case before:
		return leaves, nil
	}
	return enters, nil
}

// ask calls Keep and returns its panic as an error.
func (f *RowFilter) ask(c *Change, row Row) (kept bool, err *RowFilterError) {
	defer func() {
		if v := recover(); v != nil {
			stack := make([]byte, 8<<10)
			err = &RowFilterError{Filter: f.Name, Table: c.Table.String(), Row: c.Row, Stack: stack[:runtime.Stack(stack, false)]}
			if broken, ok := v.(runtime.Error); ok {
				err.Err = fmt.Errorf("panic: %w", broken)
			} else {
				err.Err = fmt.Errorf("panic with a value of type %T", v)
			}
		}
	}()
	return f.Keep(c.Table, row), nil
}

// narrowed returns the change that is left of c.
func (v verdict) narrowed(c *Change) *Change {
	if v == passes {
		return c
	}
	if v == dropped {
		return nil
	}
	left := *c
	left.OldKey = nil
	if v == enters {
		left.Op, left.Before = Create, nil
		return &left
	}
	left.Op, left.After = Delete, nil
	if c.OldKey != nil {
		left.Key = c.OldKey
	}
	return &left
}
