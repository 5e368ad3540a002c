package transactions

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// schema is the database of the load.
const schema = "work"

// tables are the load's. shape_a and shape_b change and exchange their names, brief comes and goes, plain has no transactions.
var tables = map[string]Table{
	"item": {Key: 1, Number: 1, Fixed: 4}, "part": {Key: 2, Number: 2, Fixed: 5}, "audit": {Key: 2, Number: 2, Fixed: 5},
	"plain": {Key: 1, Number: 1, Fixed: 4}, "shape_a": {Key: 1, Number: 1, Fixed: 4}, "shape_b": {Key: 1, Number: 1, Fixed: 4},
	"brief": {Key: 1, Number: 1, Fixed: 4},
}

const one = "id INT PRIMARY KEY, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL"

// definitions make the tables.
func definitions() []string {
	return []string{
		"CREATE DATABASE calm",
		"CREATE TABLE calm.tick (n INT PRIMARY KEY)",
		"INSERT INTO calm.tick VALUES (0)",
		"CREATE DATABASE " + schema + " CHARACTER SET latin1",
		"CREATE TABLE work.item (" + one + ") ENGINE=InnoDB",
		"CREATE TABLE work.part (a INT, b VARCHAR(20) COLLATE latin1_bin, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL, PRIMARY KEY (a, b)) ENGINE=InnoDB",
		"CREATE TABLE work.audit (i BIGINT, k INT, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL, PRIMARY KEY (i, k)) ENGINE=InnoDB",
		"CREATE TABLE work.plain (" + one + ") ENGINE=MyISAM",
		"CREATE TABLE work.shape_a (" + one + ") ENGINE=InnoDB",
		"CREATE TABLE work.shape_b (" + one + ") ENGINE=InnoDB",
	}
}

// database is the private server. Its connections die with it; up tells when it is there again.
type database struct {
	kind   servers.Kind
	server *servers.Server
	pool   *sql.DB
	up     supervise.Pulse

	// quiet is held for reading by what a SIGKILL of the server must not interrupt, and for writing by whoever kills it: statements on tables without
	// transactions, which no server recovers, and steps of XA transactions, which leave binlog and engine in two minds (MDEV-21469; MySQL 9.7
	// was seen to lose what was prepared, MariaDB 10.11 to have prepared again what was committed).
	quiet sync.RWMutex
}

func startDatabase(ctx context.Context, kind servers.Kind, logf func(string, ...any)) (*database, error) {
	args := []string{"--transaction-isolation=READ-COMMITTED", "--innodb-lock-wait-timeout=1", "--innodb-buffer-pool-size=64M",
		"--max-binlog-size=4M", "--myisam-recover-options=FORCE"}
	server, err := servers.Start(ctx, kind, servers.Options{Args: args, Logf: logf})
	if err != nil {
		return nil, err
	}
	d := &database{kind: kind, server: server}
	d.pool, err = open(server.Address().DSN(""))
	for _, statement := range definitions() {
		if err == nil {
			_, err = d.pool.ExecContext(ctx, statement)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// open opens a pool of connections that are silent when the server goes away.
func open(dsn string) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func (d *database) close() error {
	if d.pool != nil {
		d.pool.Close()
	}
	return d.server.Close()
}

func (d *database) addr() string { return d.server.Address().HostPort() }

// shutDown shuts the server down, calls down, and starts it again.
func (d *database) shutDown(ctx context.Context, down func()) error {
	if err := d.server.Stop(ctx); err != nil {
		return err
	}
	return d.startAgain(ctx, down)
}

// kill is shutDown with SIGKILL.
func (d *database) kill(ctx context.Context, down func()) error {
	d.quiet.Lock()
	// The commit of another transaction carries what the engine has deferred to the disk.
	_, err := d.pool.ExecContext(ctx, "UPDATE calm.tick SET n = n + 1")
	err = errors.Join(err, d.server.Kill())
	d.quiet.Unlock()
	if err != nil {
		return err
	}
	return d.startAgain(ctx, down)
}

func (d *database) startAgain(ctx context.Context, down func()) error {
	down()
	if err := d.server.Restart(ctx); err != nil {
		return err
	}
	d.up.Beat()
	return nil
}

// connect returns a connection of its own, and waits for the server if it is down.
func (d *database) connect(ctx context.Context) (*sql.Conn, error) {
	for {
		up := d.up.Next()
		conn, err := d.pool.Conn(ctx)
		if err == nil {
			if _, err = conn.ExecContext(ctx, "USE "+schema); err == nil {
				return conn, nil
			}
			drop(conn)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !lost(err) {
			return nil, fmt.Errorf("connect: %w", err)
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// drop closes a connection for good: it does not go back to the pool.
func drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// lost tells whether err is of a connection that is gone, or could not be made.
func lost(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch e.Number {
		case 1053, 1317, 1152, 1184, 1927, 3169, 1077, 1079, 1158, 1159, 1160, 1161: // shutdown, interrupted, aborted, killed
			return true
		}
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return err != nil && (network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) ||
		strings.Contains(err.Error(), "EOF") || strings.Contains(err.Error(), "broken pipe") || strings.Contains(err.Error(), "connection reset"))
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

// prepared returns the XA transactions that wait, by their names.
func prepared(ctx context.Context, conn *sql.Conn) (map[xid]bool, error) {
	rows, err := conn.QueryContext(ctx, "XA RECOVER")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[xid]bool{}
	for rows.Next() {
		var format, global, branch int
		var data string
		if err := rows.Scan(&format, &global, &branch, &data); err != nil {
			return nil, err
		}
		out[xid{data[:global], data[global:], format}] = true
	}
	return out, rows.Err()
}

// state returns the fixed columns of all rows of all tables, as [Evidence.State] has them.
func (d *database) state(ctx context.Context) (map[string]map[string]bool, error) {
	out := map[string]map[string]bool{}
	names, err := d.strings(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = '"+schema+"'")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		columns, err := d.strings(ctx, "SELECT column_name FROM information_schema.columns WHERE table_schema = '"+schema+"' AND table_name = '"+name+
			"' ORDER BY ordinal_position")
		if err != nil {
			return nil, err
		}
		rows, err := d.strings(ctx, "SELECT CONCAT_WS('|', "+strings.Join(columns[:tables[name].Fixed], ", ")+") FROM "+schema+"."+name)
		if err != nil {
			return nil, err
		}
		out[name] = map[string]bool{}
		for _, row := range rows {
			out[name][row] = true
		}
	}
	return out, nil
}

// strings returns the first column of a query.
func (d *database) strings(ctx context.Context, query string) ([]string, error) {
	rows, err := d.pool.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []string
	for rows.Next() {
		var text string
		values := []any{&text}
		for range columns[1:] {
			values = append(values, new(sql.RawBytes))
		}
		if err := rows.Scan(values...); err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, rows.Err()
}

// history reads the whole binlog through the server's own program.
func (d *database) history(ctx context.Context) ([]history.Transaction, error) {
	tool := history.Tool{Command: []string{d.server.BinlogTool()}, Addr: d.addr(), User: servers.CDCUser, Password: servers.CDCPassword, Flavor: string(d.kind)}
	return tool.Read(ctx, d.pool)
}
