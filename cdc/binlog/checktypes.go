package binlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkTypes finds captured columns whose values the stream would refuse.
func (k *checker) checkTypes(ctx context.Context) error {
	known := "'" + strings.Join(slices.Sorted(maps.Keys(dataTypes)), "', '") + "'"
	rows, err := k.rows(ctx, "SELECT c.TABLE_SCHEMA AS s, c.TABLE_NAME AS t, c.COLUMN_NAME AS c, c.DATA_TYPE AS d, c.COLUMN_TYPE AS f FROM information_schema.COLUMNS c "+
		"JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME AND t."+isTable+
		" WHERE c.DATA_TYPE NOT IN ("+known+") OR c.COLUMN_TYPE LIKE '%"+oldTemporal+"%' ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION")
	if err != nil {
		return err
	}
	choice := k.cfg.choice()
	for _, row := range rows {
		if !k.cfg.Filter.Match(row["s"], row["t"]) {
			continue
		}
		of := fmt.Sprintf("table %s.%s column %s", row["s"], row["t"], row["c"])
		switch excluded := !choice.columns.Match(row["s"], row["t"], row["c"]); {
		case strings.Contains(row["f"], oldTemporal): // not even its length is known
			k.problem(fmt.Sprintf("SET GLOBAL mysql56_temporal_format = ON; ALTER TABLE %s.%s FORCE; or exclude the table", quote(row["s"]), quote(row["t"])),
				"%s has the temporal format from before MySQL 5.6, whose events do not tell its length", of)
		case !excluded:
			k.problem("exclude the column by Config.Columns, or the table", "%s has the type %s, which is not supported", of, row["d"])
		}
	}
	return nil
}
