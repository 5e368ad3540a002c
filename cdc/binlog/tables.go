package binlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/millrace-go/millrace/cdc"
)

// estimatedTables is for how many tables the server is asked one by one, which takes it a millisecond each, for an account that may not
// read its statistics.
const estimatedTables = 1000

// Tables lists the captured tables, with estimates of their rows from InnoDB's statistics (SELECT on mysql.innodb_table_stats). Without that
// grant the server has to open each table, which is done for a thousand of them at most; of more, Rows is 0.
func (s *Source) Tables(ctx context.Context) ([]cdc.TableSize, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) ([]cdc.TableSize, error) { return one.Tables(ctx) })
	}
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return nil, err
	}
	defer c.close()
	defer c.patient()()
	if err := c.prepareSelect(ctx); err != nil {
		return nil, err
	}
	tables, err := c.tables(ctx)
	if len(tables) == 0 || err != nil {
		return nil, err
	}
	estimates, err := c.estimates(ctx, tables)
	if err != nil {
		return nil, err
	}
	for i := range tables {
		tables[i].Rows = estimates[tables[i].String()]
	}
	return tables, nil
}

// isTable is the condition of what has rows of its own in information_schema.TABLES. MariaDB says SYSTEM VERSIONED of tables that keep old rows.
const isTable = "TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"

// tables lists the captured tables by name.
func (c *conn) tables(ctx context.Context) ([]cdc.TableSize, error) {
	rows, err := c.rows(ctx, "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE "+isTable)
	if err != nil {
		return nil, err
	}
	var tables []cdc.TableSize
	for _, row := range rows {
		if c.cfg.Filter.Match(row["s"], row["t"]) {
			tables = append(tables, cdc.TableSize{Schema: row["s"], Name: row["t"]})
		}
	}
	slices.SortFunc(tables, func(a, b cdc.TableSize) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
	})
	return tables, nil
}

// estimates asks for the number of rows, by schema.name.
func (c *conn) estimates(ctx context.Context, tables []cdc.TableSize) (map[string]uint64, error) {
	rows, err := c.rows(ctx, "SELECT database_name AS s, table_name AS t, n_rows AS n FROM mysql.innodb_table_stats")
	if e, ok := errors.AsType[*mysql.MyError](err); ok && (e.Code == codeSelectDenied || e.Code == codeColumnDenied || e.Code == codeNoTable) {
		if len(tables) > estimatedTables {
			c.cfg.Logger.Warn("how many rows the tables have is not known", logAddr, c.cfg.Addr, "tables", len(tables), "fix", "GRANT SELECT ON mysql.innodb_table_stats")
			return nil, nil
		}
		rows, err = nil, nil
		for from := 0; from < len(tables) && err == nil; {
			to := from + 1
			for to < len(tables) && tables[to].Schema == tables[from].Schema {
				to++
			}
			var some []map[string]string
			some, err = c.rows(ctx, tableRows(tables[from:to]))
			rows, from = append(rows, some...), to
		}
	}
	if err != nil {
		return nil, err
	}
	estimates := make(map[string]uint64, len(rows))
	for _, row := range rows {
		n, _ := strconv.ParseUint(row["n"], 10, 64)
		name := row["t"]
		if at := strings.Index(strings.ToLower(name), "#p#"); at > 0 { // a partition
			name = name[:at]
		}
		estimates[row["s"]+"."+name] += n
	}
	return estimates, nil
}

// tableRows asks for tables of one schema.
func tableRows(tables []cdc.TableSize) string {
	names := make([]string, len(tables))
	for i := range tables {
		names[i] = literal(tables[i].Name)
	}
	return fmt.Sprintf("SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, TABLE_ROWS AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN (%s)",
		literal(tables[0].Schema), strings.Join(names, ", "))
}
