package projector

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// table names a table of the source.
type table struct{ schema, name string }

// parseTable reads schema.table. The first dot ends the schema.
func parseTable(text string) (table, error) {
	schema, name, found := strings.Cut(text, ".")
	if !found || schema == "" || name == "" {
		return table{}, fmt.Errorf("table %q: want schema.table", text)
	}
	return table{schema, name}, nil
}

func (t table) String() string { return t.schema + "." + t.name }

// images decodes a row's images, nil where there is none.
func images[T any](row *eventstore.RowChange) (before, after *T, err error) {
	if row.Before != nil {
		before = new(T)
		if err := decode(row.Before, before); err != nil {
			return nil, nil, fmt.Errorf("before image: %w", err)
		}
	}
	if row.After != nil {
		after = new(T)
		if err := decode(row.After, after); err != nil {
			return nil, nil, fmt.Errorf("after image: %w", err)
		}
	}
	if before == nil && after == nil {
		return nil, nil, errors.New("neither a before nor an after image")
	}
	return before, after, nil
}

// absentError says why a row without some columns cannot be applied.
func absentError(absent *eventstore.Absent) error {
	var lacks []string
	for _, image := range []struct {
		name    string
		columns []string
	}{{"before", absent.Before}, {"after", absent.After}} {
		if len(image.columns) > 0 {
			lacks = append(lacks, "the "+image.name+" image lacks "+strings.Join(image.columns, ", "))
		}
	}
	return fmt.Errorf("%s: a document made of it would be wrong. Fix: SET GLOBAL binlog_row_image = 'FULL' on the source (sessions keep "+
		"their own setting), turn Config.PartialRows of its cdc/binlog source off, and build from a log whose rows are whole",
		strings.Join(lacks, ", and "))
}

// callIDs calls a user's function that says which documents a row belongs to; a nil row belongs to none.
func callIDs[T any](f func(*T) []string, row *T) (ids []string, err error) {
	if row == nil {
		return nil, nil
	}
	err = guard(func() error {
		ids = f(row)
		return nil
	})
	return ids, err
}
