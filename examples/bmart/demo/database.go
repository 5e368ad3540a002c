package demo

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/examples/bmart/schema"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
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
		reader: schema.Reader(rand.Text()),
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

const idleConnections = 8

// openDatabase opens the shop's database as one of its accounts.
func openDatabase(addr, user, password string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", addr, user, password, schema.Database
	c.InterpolateParams = true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(idleConnections)
	return db, nil
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
	tool := history.Tool{Command: d.tool, Addr: d.toolAddr, User: d.relay.User, Password: d.relay.Password, Flavor: d.flavor}
	return tool.Read(ctx, d.admin)
}
