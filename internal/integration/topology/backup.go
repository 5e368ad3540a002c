package topology

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// restore gives an empty node the tables of another, to which nobody may write meanwhile, as a dump does. With the history it also gets its set
// of GTIDs, as what it has executed; without it they are the node's own transactions.
func (c *cluster) restore(ctx context.Context, n, from *node, withHistory bool) error {
	set, err := c.executed(ctx, from)
	if err != nil {
		return err
	}
	conn, err := n.admin.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	exec := func(statement string, args ...any) error {
		if _, err := conn.ExecContext(ctx, statement, args...); err != nil {
			return fmt.Errorf("%s: restore: %.100s: %w", n.name, statement, err)
		}
		return nil
	}
	if withHistory {
		if err := exec("SET SESSION sql_log_bin = 0"); err != nil {
			return err
		}
	}
	if err := exec("CREATE DATABASE " + schemaName + " CHARACTER SET utf8mb4"); err != nil {
		return err
	}
	for _, table := range []string{"mark", "stock"} {
		if err := copyTable(ctx, schemaName+"."+table, from, exec); err != nil {
			return err
		}
	}
	if !withHistory {
		return nil
	}
	if c.kind == servers.MariaDB {
		return exec("SET GLOBAL gtid_slave_pos = '" + set + "'")
	}
	return exec("SET GLOBAL gtid_purged = '" + set + "'")
}

// copyTable makes a table that another node has, and inserts its rows.
func copyTable(ctx context.Context, table string, from *node, exec func(statement string, args ...any) error) error {
	var name, create string
	if err := from.admin.QueryRowContext(ctx, "SHOW CREATE TABLE "+table).Scan(&name, &create); err != nil {
		return err
	}
	if err := exec(strings.Replace(create, "`"+name+"`", table, 1)); err != nil {
		return err
	}
	rows, err := from.admin.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	one := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	var batch []any
	insert := func() error {
		n := len(batch) / len(columns)
		if n == 0 {
			return nil
		}
		err := exec("INSERT INTO "+table+" VALUES "+one+strings.Repeat(", "+one, n-1), batch...)
		batch = batch[:0]
		return err
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for _, v := range values {
			batch = append(batch, v)
		}
		if len(batch) >= 3000 {
			if err := insert(); err != nil {
				return err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return insert()
}

// binlogFile is a binlog file in a backup.
type binlogFile struct {
	path    string
	content []byte
}

// saveBinlog reads the binlog files that a node has closed.
func (n *node) saveBinlog(ctx context.Context) (saved []binlogFile, err error) {
	dir, err := n.value(ctx, "SELECT @@datadir")
	if err != nil {
		return nil, err
	}
	names, err := history.Files(ctx, n.admin)
	if err != nil {
		return nil, err
	}
	for _, name := range names[:len(names)-1] {
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		saved = append(saved, binlogFile{path, content})
	}
	return saved, nil
}

// restoreBinlog puts files back that a node has purged: it is stopped, the files and their names in front of the index, and started.
func (n *node) restoreBinlog(ctx context.Context, saved []binlogFile) error {
	index, err := n.value(ctx, "SELECT @@log_bin_index")
	if err != nil {
		return err
	}
	if !filepath.IsAbs(index) {
		index = filepath.Join(filepath.Dir(saved[0].path), index)
	}
	if err := n.Stop(ctx); err != nil {
		return err
	}
	var names strings.Builder
	for _, file := range saved {
		if _, err := os.Stat(file.path); err == nil {
			return fmt.Errorf("%s is still there", file.path)
		}
		if err := os.WriteFile(file.path, file.content, 0o640); err != nil {
			return err
		}
		fmt.Fprintf(&names, "./%s\n", filepath.Base(file.path))
	}
	have, err := os.ReadFile(index)
	if err != nil {
		return err
	}
	if err := os.WriteFile(index, append([]byte(names.String()), have...), 0o640); err != nil {
		return err
	}
	return n.Restart(ctx)
}
