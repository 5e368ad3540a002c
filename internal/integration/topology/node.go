package topology

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/millrace-go/millrace/internal/integration/faults"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// node is a server of a cluster. The relay reaches it through the proxy, replicas and clients directly.
type node struct {
	*servers.Server
	name  string
	proxy *faults.Proxy
	admin *sql.DB
}

// cluster is a primary and its replicas.
type cluster struct {
	kind    servers.Kind
	nodes   []*node
	primary *node
}

// startCluster starts n servers; the first is the primary of the others. Arguments go to all of them.
func startCluster(ctx context.Context, kind servers.Kind, n int, logf func(string, ...any), args ...string) (_ *cluster, err error) {
	c := &cluster{kind: kind}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if err := c.add(ctx, n, logf, args...); err != nil {
		return nil, err
	}
	c.primary = c.nodes[0]
	for _, replica := range c.nodes[1:] {
		if err := c.follow(ctx, replica, c.primary); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// add starts n more servers, which follow nobody.
func (c *cluster) add(ctx context.Context, n int, logf func(string, ...any), args ...string) (err error) {
	args = append(args, "--relay-log=relay", "--log-slave-updates", "--net-write-timeout=600")
	if c.kind == servers.MySQL {
		args[len(args)-2] = "--log-replica-updates"
	}
	started := make([]*servers.Server, n)
	errs := make([]error, n)
	var starting sync.WaitGroup
	for i := range n {
		starting.Go(func() { started[i], errs[i] = servers.Start(ctx, c.kind, servers.Options{Args: args, Logf: logf}) })
	}
	starting.Wait()
	had := len(c.nodes)
	for _, s := range started {
		if s != nil {
			c.nodes = append(c.nodes, &node{Server: s, name: fmt.Sprint("server ", len(c.nodes)+1)})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, node := range c.nodes[had:] {
		if node.proxy, err = faults.NewProxy(node.Address().HostPort()); err != nil {
			return err
		}
		if node.admin, err = sql.Open("mysql", node.Address().DSN("")); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) close() error {
	var errs []error
	for _, n := range c.nodes {
		if n.admin != nil {
			errs = append(errs, n.admin.Close())
		}
		if n.proxy != nil {
			errs = append(errs, n.proxy.Close())
		}
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

func (n *node) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := n.admin.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %.100s: %w", n.name, s, err)
		}
	}
	return nil
}

func (n *node) value(ctx context.Context, query string, args ...any) (string, error) {
	var v sql.NullString
	if err := n.admin.QueryRowContext(ctx, query, args...).Scan(&v); err != nil {
		return "", fmt.Errorf("%s: %.100s: %w", n.name, query, err)
	}
	return v.String, nil
}

// executed is everything the node has executed, in its own notation.
func (c *cluster) executed(ctx context.Context, n *node) (string, error) {
	if c.kind == servers.MariaDB {
		return n.value(ctx, "SELECT @@GLOBAL.gtid_binlog_pos")
	}
	return n.value(ctx, "SELECT @@GLOBAL.gtid_executed")
}

// follow makes a node a replica of another by GTID, also when it was a primary, or was restored from a backup (gtid_slave_pos).
func (c *cluster) follow(ctx context.Context, n, source *node) error {
	host, port, err := net.SplitHostPort(source.Address().HostPort())
	if err != nil {
		return err
	}
	if c.kind == servers.MariaDB {
		return n.exec(ctx, "STOP SLAVE", "SET GLOBAL gtid_slave_pos = IF(@@GLOBAL.gtid_binlog_pos = '', @@GLOBAL.gtid_slave_pos, @@GLOBAL.gtid_binlog_pos)",
			fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='root', MASTER_PASSWORD='', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos", host, port),
			"START SLAVE")
	}
	return n.exec(ctx, "STOP REPLICA",
		fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%s, SOURCE_USER='root', SOURCE_PASSWORD='', SOURCE_CONNECT_RETRY=1, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1", host, port),
		"START REPLICA")
}

// replication stops a replica ("STOP") and lets it go on ("START").
func (c *cluster) replication(ctx context.Context, n *node, verb string) error {
	if c.kind == servers.MariaDB {
		return n.exec(ctx, verb+" SLAVE")
	}
	return n.exec(ctx, verb+" REPLICA")
}

// caughtUp waits until a replica has everything that the primary has now.
func (c *cluster) caughtUp(ctx context.Context, n *node) error {
	set, err := c.executed(ctx, c.primary)
	if err != nil {
		return err
	}
	query := "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 120)"
	if c.kind == servers.MariaDB {
		query = "SELECT MASTER_GTID_WAIT(?, 120)"
	}
	answer, err := n.value(ctx, query, set)
	if err == nil && answer != "0" {
		err = fmt.Errorf("%s does not follow %s: waiting for %s gives %s", n.name, c.primary.name, set, answer)
	}
	return err
}

// promote makes a replica the primary, and the running others its replicas.
func (c *cluster) promote(ctx context.Context, n *node, others ...*node) error {
	statements := []string{"STOP REPLICA", "RESET REPLICA ALL"}
	if c.kind == servers.MariaDB {
		statements = []string{"STOP SLAVE", "RESET SLAVE ALL"}
	}
	if err := n.exec(ctx, statements...); err != nil {
		return err
	}
	c.primary = n
	for _, other := range others {
		if err := c.follow(ctx, other, n); err != nil {
			return err
		}
	}
	return nil
}

// transactions are those of the node's binlog, as its own tool prints them.
func (c *cluster) transactions(ctx context.Context, n *node) ([]history.Transaction, error) {
	tool := history.Tool{Command: []string{n.BinlogTool()}, Addr: n.Address().HostPort(), User: servers.CDCUser, Password: servers.CDCPassword, Flavor: string(c.kind)}
	return tool.Read(ctx, n.admin)
}
