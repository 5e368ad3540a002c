package snapshot

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// schemaName is the database of the load.
const schemaName = "work"

// kind is a table of the load. Its rows have numbers, from which the keys follow.
type kind struct {
	name string
	// columns define the key's, key are their names.
	columns string
	key     []string
	// fill makes the key's values in SQL of the number in column n.
	fill string
	// literals are the key's values of a row's number.
	literals func(rnd *rand.Rand, n int) []string
	// weight is how often the load comes here.
	weight int
	small  bool // as many rows as Config.Hot
	ddl    bool // truncated, renamed: an XA transaction that waits would hold it up
}

func number(_ *rand.Rand, n int) []string { return []string{strconv.Itoa(n)} }

// kinds are the tables. The server's collations, not Go, order the keys.
var kinds = []*kind{
	{name: "plain", weight: 10, columns: "id BIGINT", key: []string{"id"}, fill: "n * 3", literals: func(_ *rand.Rand, n int) []string { return []string{strconv.Itoa(n * 3)} }},
	{name: "pair", weight: 10, columns: "a INT, b VARCHAR(20)", key: []string{"a", "b"}, fill: "n DIV 100, CONCAT('k', n % 100)",
		literals: func(_ *rand.Rand, n int) []string {
			return []string{strconv.Itoa(n / 100), fmt.Sprintf("'k%d'", n%100)}
		}},
	// Two spellings are one key for the server, and two for the log.
	{name: "word", weight: 10, columns: "w VARCHAR(40) COLLATE utf8mb4_general_ci", key: []string{"w"},
		fill: "IF(n % 3, LOWER(CONCAT('Wort ', CONV(n, 10, 36))), CONCAT('Wort ', CONV(n, 10, 36)))",
		literals: func(rnd *rand.Rand, n int) []string {
			w := "Wort " + strings.ToUpper(strconv.FormatInt(int64(n), 36))
			if rnd.IntN(3) > 0 {
				w = strings.ToLower(w)
			}
			return []string{"'" + w + "'"}
		}},
	// Scattered, and with zeros at the end.
	{name: "bytes", weight: 10, columns: "k BINARY(6)", key: []string{"k"}, fill: "UNHEX(LPAD(HEX((n * 2654435761) % 4294967296), 8, '0'))",
		literals: func(_ *rand.Rand, n int) []string {
			return []string{fmt.Sprintf("X'%08x'", uint64(n)*2654435761%(1<<32))}
		}},
	{name: "price", weight: 10, columns: "p DECIMAL(12,2)", key: []string{"p"}, fill: "(CAST(n AS SIGNED) - 400000) / 100",
		literals: func(_ *rand.Rand, n int) []string {
			return []string{strconv.FormatFloat(float64(n-400_000)/100, 'f', 2, 64)}
		}},
	{name: "hot", weight: 40, small: true, columns: "id INT", key: []string{"id"}, fill: "n", literals: number},
	{name: "brief", weight: 5, small: true, ddl: true, columns: "id INT", key: []string{"id"}, fill: "n", literals: number},
	{name: "left_one", weight: 5, small: true, ddl: true, columns: "id INT", key: []string{"id"}, fill: "n", literals: number},
	{name: "right_one", weight: 5, small: true, ddl: true, columns: "id INT", key: []string{"id"}, fill: "n", literals: number},
	{name: "wander", weight: 5, small: true, ddl: true, columns: "id INT", key: []string{"id"}, fill: "n", literals: number},
}

// wandered is the other name of the table wander.
const wandered = "wander_away"

// large is how many of the kinds are large tables.
const large = 5

// keys are the columns of the keys by table.
func keys() map[string][]string {
	out := map[string][]string{wandered: {"id"}, liveTable: {"id"}}
	for _, k := range kinds {
		out[k.name] = k.key
	}
	return out
}

// rows is how many rows a table begins with.
func (k *kind) rows(cfg *Config) int {
	if k.small {
		return cfg.Hot
	}
	return cfg.Rows
}

// database is the private server.
type database struct {
	kind   servers.Kind
	server *servers.Server
	pool   *sql.DB
}

// startDatabase starts a server that has no durable commits, which makes it fast, and small binlog files. On MySQL each commit waits for a millisecond
// between the moment when the stream has it and the one when others see it, as with a slow disk: what makes a chunk stale happens often then.
func startDatabase(ctx context.Context, cfg *Config, logf func(string, ...any)) (*database, error) {
	args := []string{"--transaction-isolation=READ-COMMITTED", "--innodb-lock-wait-timeout=1", "--innodb-buffer-pool-size=256M", "--sync-binlog=0",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=256M", fmt.Sprintf("--max-binlog-size=%d", cfg.BinlogBytes)}
	if cfg.Kind == servers.MySQL {
		args[len(args)-2] = "--innodb-redo-log-capacity=512M"
		args = append(args, "--binlog-group-commit-sync-delay=1000")
	}
	server, err := servers.Start(ctx, cfg.Kind, servers.Options{Args: args, Logf: logf})
	if err != nil {
		return nil, err
	}
	d := &database{kind: cfg.Kind, server: server}
	if d.pool, err = sql.Open("mysql", server.Address().DSN("")); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *database) close() error {
	if d.pool != nil {
		d.pool.Close()
	}
	return d.server.Close()
}

func (d *database) addr() string { return d.server.Address().HostPort() }

// fillStep is how many rows a transaction of the filling has.
const fillStep = 50_000

// numbers is what selects n from first on.
func (d *database) numbers(first, end int) string {
	if d.kind == servers.MariaDB {
		return fmt.Sprintf("SELECT seq AS n FROM seq_%d_to_%d", first, end-1)
	}
	return fmt.Sprintf("WITH RECURSIVE c(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM c WHERE n < %d) SELECT n FROM c", first, end-1)
}

// create makes a table and its rows.
func (d *database) create(ctx context.Context, k *kind, rows int) error {
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	statements := []string{fmt.Sprintf("CREATE TABLE %s.%s (%s, v VARCHAR(100), i INT NOT NULL, PRIMARY KEY (%s)) CHARACTER SET utf8mb4",
		schemaName, k.name, k.columns, strings.Join(k.key, ", ")), "USE " + schemaName}
	if d.kind == servers.MySQL {
		statements = append(statements, fmt.Sprintf("SET SESSION cte_max_recursion_depth = %d", fillStep))
	}
	for first := 0; first < rows; first += fillStep {
		statements = append(statements, fmt.Sprintf("INSERT INTO %s SELECT %s, CONCAT('filled ', n), 0 FROM (%s) AS numbers",
			k.name, k.fill, d.numbers(first, min(first+fillStep, rows))))
	}
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// fill makes tables, and purges the binlog of it.
func (d *database) fill(ctx context.Context, cfg *Config, kinds []*kind) error {
	if err := d.exec(ctx, "CREATE DATABASE "+schemaName); err != nil {
		return err
	}
	for _, k := range kinds {
		if err := d.create(ctx, k, k.rows(cfg)); err != nil {
			return err
		}
	}
	return d.purge(ctx)
}

func (d *database) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := d.pool.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.80s: %w", s, err)
		}
	}
	return nil
}

// purge leaves a binlog that begins behind everything.
func (d *database) purge(ctx context.Context) error {
	if err := d.exec(ctx, "FLUSH BINARY LOGS"); err != nil {
		return err
	}
	return history.Purge(ctx, d.pool)
}

// executed returns everything the server has committed, as a GTID set.
func (d *database) executed(ctx context.Context) (string, error) {
	query := "SELECT @@global.gtid_binlog_pos"
	if d.kind == servers.MySQL {
		query = "SELECT @@global.gtid_executed"
	}
	var gtids string
	err := d.pool.QueryRowContext(ctx, query).Scan(&gtids)
	return gtids, err
}

// tables returns the names of the tables that are there.
func (d *database) tables(ctx context.Context) ([]string, error) {
	rows, err := d.pool.QueryContext(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", schemaName)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, rows.Err()
}

// compare compares every table with the log.
func (d *database) compare(ctx context.Context, c *Checker) error {
	names, err := d.tables(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.Compare(name, func(each func(map[string]history.Value)) error { return Rows(ctx, d.pool, schemaName, name, each) }); err != nil {
			return fmt.Errorf("SELECT from %s: %w", name, err)
		}
	}
	return nil
}

// Rows hands out the rows of a table, by the server's own SELECT, as the log writes them. The map is used again.
func Rows(ctx context.Context, pool *sql.DB, schema, table string, each func(map[string]history.Value)) error {
	rows, err := pool.QueryContext(ctx, "SELECT * FROM "+schema+"."+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	raw, into, row := make([]sql.RawBytes, len(columns)), make([]any, len(columns)), map[string]history.Value{}
	for i := range raw {
		into[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, column := range columns {
			v := history.Value{Text: string(raw[i]), Null: raw[i] == nil}
			if column.DatabaseTypeName() == "BINARY" {
				v.Text = base64.StdEncoding.EncodeToString(raw[i])
			}
			row[column.Name()] = v
		}
		each(row)
	}
	return rows.Err()
}
