package servers

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// The ordinary user of a database server: it has exactly the rights that reading the binlog and the tables takes.
const (
	CDCUser     = "cdc"
	CDCPassword = "cdc"
)

// An Address is where a server is, and how to log in.
type Address struct {
	Kind Kind
	// Value is what the variable Kind.Env holds: a go-sql-driver data source name of an administrator for MySQL and MariaDB, host:port
	// for Kafka, a URL for Elasticsearch, a connection string for MongoDB.
	Value string
	// Origin says where the server comes from, for messages.
	Origin string
}

// loopback is the address of a server that this package started.
func loopback(k Kind, port int, origin string) Address {
	hostPort := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	a := Address{Kind: k, Value: hostPort, Origin: origin}
	switch k {
	case MariaDB, MySQL:
		a.Value = "root@tcp(" + hostPort + ")/"
	case Elasticsearch:
		a.Value = "http://" + hostPort
	case MongoDB:
		a.Value = "mongodb://" + hostPort + "/?replicaSet=rs0"
	}
	return a
}

// String is the address without a password.
func (a Address) String() string {
	if a.Kind == MariaDB || a.Kind == MySQL {
		c, err := a.sql()
		if err != nil {
			return "(not a data source name: user:password@tcp(host:port)/)"
		}
		return c.User + "@" + c.Addr
	}
	// Not by net/url: a connection string of MongoDB may name several hosts.
	scheme, rest, ok := strings.Cut(a.Value, "://")
	if !ok {
		return a.Value
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		user, _, _ := strings.Cut(rest[:at], ":")
		rest = user + rest[at:]
	}
	return scheme + "://" + rest
}

// DSN is the go-sql-driver data source name of the administrator for a database, which may be empty. It is empty for other servers.
func (a Address) DSN(database string) string {
	c, err := a.sql()
	if err != nil {
		return ""
	}
	c.DBName = database
	return c.FormatDSN()
}

// CDC is the data source name of the ordinary user for a database, which may be empty. It is empty for other servers.
func (a Address) CDC(database string) string {
	c, err := a.sql()
	if err != nil {
		return ""
	}
	c.User, c.Passwd, c.DBName = CDCUser, CDCPassword, database
	return c.FormatDSN()
}

// HostPort is host:port of a MySQL, MariaDB or Kafka server, and empty for the others, whose clients take URLs.
func (a Address) HostPort() string {
	if a.Kind == Kafka {
		return a.Value
	}
	c, err := a.sql()
	if err != nil {
		return ""
	}
	return c.Addr
}

// Login is the administrator's name and password on a MySQL or MariaDB server.
func (a Address) Login() (user, password string) {
	c, err := a.sql()
	if err != nil {
		return "", ""
	}
	return c.User, c.Passwd
}

func (a Address) sql() (*mysql.Config, error) {
	if a.Kind != MariaDB && a.Kind != MySQL {
		return nil, fmt.Errorf("%s has no data source name", a.Kind)
	}
	return mysql.ParseDSN(a.Value)
}
