package binlog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/internal/pattern"
)

// checkedTable is a table as information_schema describes it.
type checkedTable struct {
	schema, name string
	columns      []candidate
	key          []int
}

// checkChoice finds what Config.Columns and Config.Keys cannot mean for the tables there are. A pattern that matches nothing is only
// worth a warning: the column may be gone, while changes from before still wait in the binlog and must stay masked.
func (k *checker) checkChoice(ctx context.Context) error {
	choice := k.cfg.choice()
	patterns := choice.patterns()
	if len(patterns) == 0 {
		return nil
	}
	tables, err := k.capturedTables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		for i := range patterns {
			patterns[i].matched = patterns[i].matched || patterns[i].matches(t)
		}
		_, problems := choice.of(t.schema, t.name, t.columns, t.key)
		for _, err := range problems {
			wrong, ok := errors.AsType[*choiceError](err)
			if !ok || wrong == errNoKey { // which a table may lack as long as it does not change
				continue
			}
			of := fmt.Sprintf("table %s.%s", t.schema, t.name)
			if c, ok := errors.AsType[*columnError](err); ok {
				of += " column " + c.column
			}
			k.problem(wrong.fix, "%s: %s", of, wrong.what)
		}
	}
	for _, p := range patterns {
		if !p.matched {
			k.cfg.Logger.Warn("a pattern matches nothing that is captured; is it a typo?", logAddr, k.cfg.Addr, "option", p.option, "pattern", p.text)
		}
	}
	return nil
}

// capturedTables reads the tables that the filter takes.
func (k *checker) capturedTables(ctx context.Context) ([]*checkedTable, error) {
	columns, err := k.rows(ctx, "SELECT c.TABLE_SCHEMA AS s, c.TABLE_NAME AS t, c.COLUMN_NAME AS c, c.DATA_TYPE AS d FROM information_schema.COLUMNS c "+
		"JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME AND t."+isTable+
		" ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	keys, err := k.rows(ctx, "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY' "+
		"ORDER BY TABLE_SCHEMA, TABLE_NAME, SEQ_IN_INDEX")
	if err != nil {
		return nil, err
	}
	var tables []*checkedTable
	byName := map[[2]string]*checkedTable{}
	for _, row := range columns {
		if !k.cfg.Filter.Match(row["s"], row["t"]) {
			continue
		}
		name := [2]string{row["s"], row["t"]}
		t := byName[name]
		if t == nil {
			t = &checkedTable{schema: row["s"], name: row["t"]}
			byName[name], tables = t, append(tables, t)
		}
		t.columns = append(t.columns, candidate{row["c"], row["d"], slices.Contains(textTypes, row["d"])})
	}
	for _, row := range keys {
		if t := byName[[2]string{row["s"], row["t"]}]; t != nil {
			if at := placeOf(t.columns, row["c"]); at >= 0 {
				t.key = append(t.key, at)
			}
		}
	}
	return tables, nil
}

// textTypes are the names information_schema has for what holdsText takes.
var textTypes = []string{"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}

// checkedPattern is a pattern of the configuration.
type checkedPattern struct {
	option, text string
	matches      func(*checkedTable) bool
	matched      bool
}

func (c choice) patterns() (all []checkedPattern) {
	column := func(option string, patterns []string) {
		for _, p := range patterns {
			all = append(all, checkedPattern{option: option, text: p, matches: func(t *checkedTable) bool {
				return slices.ContainsFunc(t.columns, func(c candidate) bool { return pattern.Column(p, t.schema, t.name, c.name) })
			}})
		}
	}
	column("Columns.Include", c.columns.Include)
	column("Columns.Exclude", c.columns.Exclude)
	for i := range c.columns.Masks {
		column("Columns.Masks", c.columns.Masks[i].Patterns())
	}
	for _, key := range c.keys {
		all = append(all, checkedPattern{option: "Keys", text: key.Tables, matches: func(t *checkedTable) bool {
			return pattern.Table(key.Tables, t.schema, t.name)
		}})
	}
	return all
}
