package demo

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"

	"github.com/millrace-go/millrace/examples/bmart/schema"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// database is the private database server.
type database struct {
	flavor string
	addr   string
	admin  *sql.DB
	shop   *sql.DB // the load's
	reader schema.Account
	relay  schema.Account // made with the server; it may read the binlog
	// tool is the command of mysqlbinlog or mariadb-binlog, and toolAddr where the server is for it.
	tool     []string
	toolAddr string
}

func (s *supervisor) startDatabase(ctx context.Context) (*database, error) {
	kind := servers.Kind(s.cfg.DB)
	d := &database{
		flavor: s.cfg.DB,
		relay:  schema.Account{User: servers.CDCUser, Password: servers.CDCPassword},
		reader: schema.Reader(rand.Text(), kind == servers.MariaDB),
	}
	address, err := s.startServer(ctx, kind, d)
	if err != nil {
		return nil, err
	}
	d.addr = address.HostPort()
	d.admin, err = sql.Open("mysql", address.DSN(""))
	if err != nil {
		return nil, err
	}
	s.atEnd(d.admin.Close)
	shop := schema.Shop(rand.Text())
	if err := schema.Create(ctx, d.admin, shop, d.reader); err != nil {
		return nil, err
	}
	d.shop, err = openDatabase(d.addr, shop.User, shop.Password)
	if err != nil {
		return nil, err
	}
	s.atEnd(d.shop.Close)
	return d, nil
}

// startServer starts a server of this run alone: the machine's own, or an installed one, or else one in Docker.
func (s *supervisor) startServer(ctx context.Context, kind servers.Kind, d *database) (servers.Address, error) {
	server, err := servers.Start(ctx, kind, servers.Options{Logf: s.logf})
	if err == nil {
		s.atEnd(server.Close)
		s.say("database: %s", server.Version())
		d.tool, d.toolAddr = []string{server.BinlogTool()}, server.Address().HostPort()
		return server.Address(), nil
	}
	if _, missing := exec.LookPath("docker"); missing != nil || ctx.Err() != nil {
		return servers.Address{}, err
	}
	s.say("database: not here (%v), so from Docker", err)
	c, inDocker := startContainer(ctx, kind)
	if inDocker != nil {
		return servers.Address{}, errors.Join(err, inDocker)
	}
	s.atEnd(c.close)
	s.say("database: %s", c.address.Origin)
	d.tool, d.toolAddr = c.binlogTool(), "127.0.0.1:3306"
	return c.address, nil
}

// executed returns everything the server has committed, as a GTID set.
func (d *database) executed(ctx context.Context) (string, error) {
	query := "SELECT @@global.gtid_binlog_pos"
	if d.flavor == "mysql" {
		query = "SELECT @@global.gtid_executed"
	}
	var gtids string
	if err := d.admin.QueryRowContext(ctx, query).Scan(&gtids); err != nil {
		return "", fmt.Errorf("read what the database has executed: %w", err)
	}
	return gtids, nil
}

// compress has the binlog compressed from here on: so both kinds of transactions are in it. Sessions that are open keep what they
// have, so those of the load are closed.
func (d *database) compress(ctx context.Context) error {
	statement := "SET GLOBAL log_bin_compress = ON"
	if d.flavor == "mysql" {
		statement = "SET GLOBAL binlog_transaction_compression = ON"
	}
	if _, err := d.admin.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("compress the binlog: %w", err)
	}
	d.shop.SetMaxIdleConns(0)
	d.shop.SetMaxIdleConns(idleConnections)
	return nil
}

// history reads the whole binlog through the server's own program.
func (d *database) history(ctx context.Context) ([]history.Transaction, error) {
	first, err := d.firstBinlog(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(d.toolAddr)
	if err != nil {
		return nil, err
	}
	args := append(d.tool[1:], "--no-defaults", "--read-from-remote-server", "--host="+host, "--port="+port, "--user="+d.relay.User,
		"-vv", "--base64-output=DECODE-ROWS", "--to-last-log", first)
	cmd := exec.CommandContext(ctx, d.tool[0], args...)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+d.relay.Password)
	last := &supervise.LastLine{}
	cmd.Stderr = last
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("read the binlog: %w", err)
	}
	transactions, err := history.ParseBinlog(stdout, d.flavor)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	if waited := cmd.Wait(); err == nil && waited != nil {
		err = fmt.Errorf("%w: %s", waited, last)
	}
	if err != nil {
		return nil, fmt.Errorf("read the binlog: %w", err)
	}
	return transactions, nil
}

func (d *database) firstBinlog(ctx context.Context) (string, error) {
	rows, err := d.admin.QueryContext(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return "", fmt.Errorf("list the binlogs: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		return "", errors.Join(errors.New("list the binlogs: there is none"), err, rows.Err())
	}
	var first string
	values := []any{&first}
	for range columns[1:] {
		values = append(values, new(sql.RawBytes))
	}
	return first, rows.Scan(values...)
}
