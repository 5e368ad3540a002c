package binlog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/cdc"
)

// choice says which columns of a table are captured, how they are masked, and which are the key.
type choice struct {
	columns cdc.Columns
	keys    cdc.Keys
}

// candidate is a column as far as it matters to a choice.
type candidate struct {
	name string
	kind string // as in cdc.Column
	text bool
}

// chosen is what a choice makes of a table. Its slices are by the column's place in the table.
type chosen struct {
	excluded []bool
	masks    []*cdc.Mask // nil where values are shown
	key      []int       // places of the key's columns
}

// choiceError says why a table cannot be captured by a choice.
type choiceError struct{ what, fix string }

func (e *choiceError) Error() string { return e.what + ". Fix: " + e.fix }

var errNoKey = &choiceError{"table without primary key", "choose its key by Config.Keys, ALTER TABLE … ADD PRIMARY KEY (an invisible " +
	"column will do), or exclude the table"}

var errNoColumns = &choiceError{"Config.Columns leaves out every column of the table", "exclude the table by Config.Filter, or include columns of it"}

// of chooses from a table's columns; primary are the places of its primary key's columns. problems is everything that is wrong.
func (c choice) of(schema, table string, columns []candidate, primary []int) (result chosen, problems []error) {
	result = chosen{excluded: make([]bool, len(columns)), masks: make([]*cdc.Mask, len(columns)), key: primary}
	bad := func(column, fix, what string, args ...any) {
		problems = append(problems, &columnError{column, &choiceError{fmt.Sprintf(what, args...), fix}})
	}
	for i, col := range columns {
		if result.excluded[i] = !c.columns.Match(schema, table, col.name); result.excluded[i] {
			continue
		}
		mask := c.columns.Mask(schema, table, col.name)
		if mask != nil && mask.TextOnly() && !col.text {
			bad(col.name, "use cdc.Redact or cdc.Hash", "the mask %s is for text, and the column has the type %s", mask, col.kind)
		}
		result.masks[i] = mask
	}
	if !slices.Contains(result.excluded, false) {
		return result, []error{errNoColumns}
	}
	if names := c.keys.Of(schema, table); names != nil {
		result.key = nil
		if names[0] == "*" {
			for i := range columns {
				if !result.excluded[i] {
					result.key = append(result.key, i)
				}
			}
			names = nil
		}
		for _, name := range names {
			if at := placeOf(columns, name); at >= 0 {
				result.key = append(result.key, at)
			} else {
				bad(name, "name a column that the table has", "Config.Keys chooses it for the key of the table, which has no such column")
			}
		}
	}
	for _, i := range result.key {
		switch mask := result.masks[i]; {
		case result.excluded[i]:
			bad(columns[i].name, "capture it (cdc.Hash hides its values), or choose another key by Config.Keys", "it belongs to the key, and Config.Columns leaves it out")
		case mask != nil && !mask.Distinct():
			bad(columns[i].name, "use cdc.Hash, or choose another key by Config.Keys", "it belongs to the key, and the mask %s makes different keys one", mask)
		}
	}
	if len(result.key) == 0 && len(problems) == 0 {
		problems = append(problems, errNoKey)
	}
	return result, problems
}

func placeOf(columns []candidate, name string) int {
	for i := range columns {
		if strings.EqualFold(columns[i].name, name) {
			return i
		}
	}
	return -1
}

// holdsText tells text from bytes and everything else.
func (col *columnMap) holdsText() bool {
	switch col.kind {
	case typeVarchar, typeVarString, typeString, typeBlob, typeMariaDBCompressedBlob, typeMariaDBCompressedVarchar:
		return col.collation != collationBinary
	}
	return false
}
