package binlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// connectTimeout bounds dialing and logging in, and each answer to a query.
const connectTimeout = 10 * time.Second

// conn is a connection: for queries, and after dump for the stream of events. It is not safe for concurrent use, but Close is.
type conn struct {
	*client.Conn
	socket  *deadlineConn
	cfg     *Config
	flavor  string
	version string
}

// deadlineConn gives up a read that waits longer than timeout. The deadline is set where the socket is read, not for each packet.
type deadlineConn struct {
	net.Conn
	timeout time.Duration
}

func (c *deadlineConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// connect logs in. Its errors wrap cdc.ErrUnavailable where another try may succeed.
func connect(ctx context.Context, cfg *Config) (_ *conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c := &conn{cfg: cfg}
	stop := func() bool { return true }
	defer func() {
		stop()
		if r := recover(); r != nil { // the vendor's handshake trusts what it reads
			err = fmt.Errorf("connect to %s: what answers there does not speak the MySQL protocol", cfg.Addr)
		}
		if err != nil && c.socket != nil {
			c.socket.Close()
		}
	}()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		stop = context.AfterFunc(ctx, func() { raw.Close() }) // ends a handshake that hangs
		c.socket = &deadlineConn{raw, connectTimeout}
		return c.socket, nil
	}
	vendor, err := client.ConnectWithDialer(ctx, "tcp", cfg.Addr, cfg.User, cfg.Password, "", dial, func(v *client.Conn) error {
		v.SetTLSConfig(cfg.TLS)
		// One form of queries and answers from all servers: see result.
		v.UnsetCapability(mysql.CLIENT_QUERY_ATTRIBUTES)
		v.UnsetCapability(mysql.CLIENT_DEPRECATE_EOF)
		return nil
	})
	if err != nil {
		return nil, loginError(ctx, err, cfg)
	}
	c.Conn = vendor
	c.version = strings.TrimRight(vendor.GetServerVersion(), "\x00")
	c.flavor = MySQL
	if strings.Contains(c.version, "MariaDB") {
		c.flavor = MariaDB
	}
	if cfg.Flavor != "" && cfg.Flavor != c.flavor {
		return nil, fmt.Errorf("connect to %s: Config.Flavor is %s, but the server is %s", cfg.Addr, cfg.Flavor, c.version)
	}
	return c, nil
}

// query runs a statement without parameters. A cancelled context breaks the connection.
func (c *conn) query(ctx context.Context, statement string) (*mysql.Result, error) {
	stop := context.AfterFunc(ctx, func() { c.socket.Close() })
	defer stop()
	result, err := c.Execute(statement)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		verb, _, _ := strings.Cut(statement, " FROM ")
		return nil, serverError(fmt.Sprintf("query %s at %s", verb, c.cfg.Addr), err)
	}
	return result, nil
}

// row runs a statement and returns its first row as text; empty when there is none, NULL as the empty text.
func (c *conn) row(ctx context.Context, statement string) (map[string]string, error) {
	rows, err := c.rows(ctx, statement)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// rows is row for all rows. Column names are in lower case.
func (c *conn) rows(ctx context.Context, statement string) ([]map[string]string, error) {
	result, err := c.query(ctx, statement)
	if err != nil {
		return nil, err
	}
	if result.Resultset == nil {
		return nil, nil
	}
	rows := make([]map[string]string, result.RowNumber())
	for i := range rows {
		rows[i] = make(map[string]string, len(result.Fields))
		for j, field := range result.Fields {
			value, err := result.GetString(i, j)
			if err != nil {
				return nil, fmt.Errorf("query at %s: column %s: %w", c.cfg.Addr, field.Name, err)
			}
			rows[i][strings.ToLower(string(field.Name))] = value
		}
	}
	return rows, nil
}

// value runs a statement that gives one value.
func (c *conn) value(ctx context.Context, statement string) (string, error) {
	result, err := c.query(ctx, statement)
	if err != nil {
		return "", err
	}
	if result.Resultset == nil || result.RowNumber() == 0 {
		return "", errors.New("query: no row")
	}
	return result.GetString(0, 0)
}

// close says goodbye, which frees the server's session at once.
func (c *conn) close() {
	_ = c.socket.SetDeadline(time.Now().Add(time.Second))
	_ = c.Quit()
	c.socket.Close()
}
