// Package database is a private MySQL or MariaDB server under a load that goes on when the server is killed and comes back.
package database

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

// Database is a server with a schema that a load works on. Its connections die with it, and are made again when it is there again. It is safe for
// concurrent use, but one goroutine at a time may stop and start the server.
type Database struct {
	Kind   servers.Kind
	Server *servers.Server
	// Pool is for the administrator.
	Pool *sql.DB

	schema string
	up     supervise.Pulse // the server is there again

	// Quiet is held for reading by what a SIGKILL of the server must not interrupt, and for writing by whoever kills it: statements on tables without
	// transactions, which no server recovers, and steps of XA transactions, which leave binlog and engine in two minds (MDEV-21469; MySQL 9.7
	// was seen to lose what was prepared, MariaDB 10.11 to have prepared again what was committed). MariaDB does that to XA COMMITs acknowledged
	// more than a second before as well: that is for the load to mend.
	Quiet sync.RWMutex
}

// Start starts a server and executes the definitions, which make the schema.
func Start(ctx context.Context, kind servers.Kind, schema string, definitions []string, logf func(string, ...any)) (*Database, error) {
	args := []string{"--transaction-isolation=READ-COMMITTED", "--innodb-lock-wait-timeout=1", "--innodb-buffer-pool-size=64M",
		"--max-binlog-size=4M", "--myisam-recover-options=FORCE"}
	server, err := servers.Start(ctx, kind, servers.Options{Args: args, Logf: logf})
	if err != nil {
		return nil, err
	}
	d := &Database{Kind: kind, Server: server, schema: schema}
	d.Pool, err = open(server.Address().DSN(""))
	definitions = append([]string{"CREATE DATABASE calm", "CREATE TABLE calm.tick (n INT PRIMARY KEY)", "INSERT INTO calm.tick VALUES (0)"}, definitions...)
	for _, statement := range definitions {
		if err == nil {
			_, err = d.Pool.ExecContext(ctx, statement)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
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

// Close kills the server and removes its data.
func (d *Database) Close() error {
	if d.Pool != nil {
		d.Pool.Close()
	}
	return d.Server.Close()
}

// Addr is the server's host:port.
func (d *Database) Addr() string { return d.Server.Address().HostPort() }

// ShutDown shuts the server down, calls down, and starts it again.
func (d *Database) ShutDown(ctx context.Context, down func()) error {
	if err := d.Server.Stop(ctx); err != nil {
		return err
	}
	return d.startAgain(ctx, down)
}

// Kill is ShutDown with SIGKILL.
func (d *Database) Kill(ctx context.Context, down func()) error {
	d.Quiet.Lock()
	// The commit of another transaction carries what the engine has deferred to the disk.
	_, err := d.Pool.ExecContext(ctx, "UPDATE calm.tick SET n = n + 1")
	err = errors.Join(err, d.Server.Kill())
	d.Quiet.Unlock()
	if err != nil {
		return err
	}
	return d.startAgain(ctx, down)
}

func (d *Database) startAgain(ctx context.Context, down func()) error {
	down()
	if err := d.Server.Restart(ctx); err != nil {
		return err
	}
	d.up.Beat()
	return nil
}

// Connect returns a connection of its own, and waits for the server if it is down.
func (d *Database) Connect(ctx context.Context) (*sql.Conn, error) {
	for {
		up := d.up.Next()
		conn, err := d.Pool.Conn(ctx)
		if err == nil {
			if _, err = conn.ExecContext(ctx, "USE "+d.schema); err == nil {
				return conn, nil
			}
			Drop(conn)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !Lost(err) {
			return nil, fmt.Errorf("connect: %w", err)
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Drop closes a connection for good: it does not go back to the pool.
func Drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// Lost tells whether err is of a connection that is gone, or could not be made.
func Lost(err error) bool {
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

// Executed returns everything the server has committed, as a GTID set.
func (d *Database) Executed(ctx context.Context) (string, error) {
	query := "SELECT @@global.gtid_binlog_pos"
	if d.Kind == servers.MySQL {
		query = "SELECT @@global.gtid_executed"
	}
	var gtids string
	err := d.Pool.QueryRowContext(ctx, query).Scan(&gtids)
	return gtids, err
}

// State returns the fixed columns of all rows of all tables, as [history.Evidence] has them.
func (d *Database) State(ctx context.Context, tables map[string]history.Table) (map[string]map[string]bool, error) {
	out := map[string]map[string]bool{}
	names, err := d.Strings(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = '"+d.schema+"'")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		columns, err := d.Strings(ctx, "SELECT column_name FROM information_schema.columns WHERE table_schema = '"+d.schema+"' AND table_name = '"+name+
			"' ORDER BY ordinal_position")
		if err != nil {
			return nil, err
		}
		rows, err := d.Strings(ctx, "SELECT CONCAT_WS('|', "+strings.Join(columns[:tables[name].Fixed], ", ")+") FROM "+d.schema+"."+name)
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

// Strings returns the first column of a query.
func (d *Database) Strings(ctx context.Context, query string) ([]string, error) {
	rows, err := d.Pool.QueryContext(ctx, query)
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

// History reads the whole binlog through the server's own program.
func (d *Database) History(ctx context.Context) ([]history.Transaction, error) {
	tool := history.Tool{Command: []string{d.Server.BinlogTool()}, Addr: d.Addr(), User: servers.CDCUser, Password: servers.CDCPassword, Flavor: string(d.Kind)}
	return tool.Read(ctx, d.Pool)
}
