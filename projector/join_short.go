package projector

import (
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// shortRows says that rows of a table lack columns that they must have.
type shortRows struct {
	Rows    int              `json:"rows"`
	Columns []string         `json:"columns"` // of the last one that came
	Place   eventstore.Place `json:"place"`
}

// countShort notes that the stored row with a key, if any, is replaced. now says that there is a row in its place, in e.image, whole that it lacks nothing.
// It is in one group with the row, or a change that is applied again would count twice.
func (e *joinEngine) countShort(t *planTable, key []byte, now, whole bool) error {
	short := e.meta.Short[t.no]
	if short != nil {
		stored, err := e.imageOf(t, key)
		if err != nil {
			return err
		}
		if stored != nil && len(t.lacks(stored)) > 0 {
			if short.Rows--; short.Rows == 0 {
				delete(e.meta.Short, t.no)
				short = nil
			}
		}
	}
	if !now || whole {
		return nil
	}
	if short == nil {
		short = &shortRows{}
		if e.meta.Short == nil {
			e.meta.Short = map[int]*shortRows{}
		}
		e.meta.Short[t.no] = short
	}
	short.Rows, short.Columns, short.Place = short.Rows+1, t.lacks(e.image), e.place
	e.note()
	return nil
}

// checkShort fails while there are rows that lack columns: what is built of them would show zeros where the table has values.
func (e *joinEngine) checkShort() error {
	for _, t := range e.tables {
		if short := e.meta.Short[t.no]; short != nil {
			return &RowError{Projector: e.loop.def.name, Table: t.String(), Place: short.Place, Err: fmt.Errorf("the image lacks %s, which the row type has fields for, "+
				"as do %d rows in all: if columns were renamed or dropped, change the row type and raise the Version; if they were added, have the table's rows read "+
				"once more by a snapshot; a field that may be missing needs the option omitzero in its tag", strings.Join(short.Columns, ", "), short.Rows)}
		}
	}
	return nil
}
