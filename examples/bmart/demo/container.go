package demo

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// container is a database server in Docker, for machines where it can be neither found nor installed. It is driven by the docker command.
// Unlike the other servers it outlives a supervisor that is killed, until `docker rm`.
type container struct {
	id, image string
	address   servers.Address
	tool      string
}

// The official images. MILLRACE_MARIADB_IMAGE and MILLRACE_MYSQL_IMAGE name others.
var images = map[servers.Kind]string{servers.MariaDB: "mariadb:10.11", servers.MySQL: "mysql:9.7"}

// containerPatience is the longest wait for the server to answer.
const containerPatience = 2 * time.Minute

// startContainer runs the server on a free port of loopback and returns when it answers. The database's ordinary user is there then.
func startContainer(ctx context.Context, kind servers.Kind) (*container, error) {
	c := &container{image: images[kind], tool: "mariadb-binlog"}
	if name := os.Getenv(kind.Env() + "_IMAGE"); name != "" {
		c.image = name
	}
	empty, special, rights := "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1", []string{"--gtid-strict-mode=1"}, servers.MariaDBRights
	if kind == servers.MySQL {
		c.tool, empty, rights = "mysqlbinlog", "MYSQL_ALLOW_EMPTY_PASSWORD=1", servers.MySQLRights
		special = []string{"--gtid-mode=ON", "--enforce-gtid-consistency=ON"}
	}
	run := slices.Concat([]string{"run", "--detach", "--rm", "--publish", "127.0.0.1::3306", "--env", empty, c.image}, special, []string{
		"--server-id=1", "--log-bin=binlog", "--binlog-format=ROW", "--binlog-row-image=FULL", "--binlog-row-metadata=FULL",
		"--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1", "--character-set-server=utf8mb4", "--skip-name-resolve"})
	var err error
	if c.id, err = docker(ctx, run...); err != nil {
		return nil, err
	}
	if err := c.ready(ctx, kind, rights); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// ready waits until the server answers, and makes the ordinary user.
func (c *container) ready(ctx context.Context, kind servers.Kind, rights string) error {
	ports, err := docker(ctx, "port", c.id, "3306/tcp")
	if err != nil {
		return err
	}
	addr, _, _ := strings.Cut(ports, "\n")
	c.address = servers.Address{Kind: kind, Value: "root@tcp(" + addr + ")/", Origin: "docker image " + c.image}
	config, err := mysql.ParseDSN(c.address.DSN(""))
	if err != nil {
		return err
	}
	config.Logger = &mysql.NopLogger{} // of connections to a server that is not up yet
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, containerPatience, fmt.Errorf("it does not answer within %v", containerPatience))
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for db.PingContext(ctx) != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("docker: %s: %w", c.image, context.Cause(ctx))
		case <-tick.C:
		}
	}
	for _, statement := range []string{
		"CREATE USER " + servers.CDCUser + "@'%' IDENTIFIED BY '" + servers.CDCPassword + "'",
		"GRANT " + rights + " ON *.* TO " + servers.CDCUser + "@'%'",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("docker: %s: make the user %s: %w", c.image, servers.CDCUser, err)
		}
	}
	return nil
}

// binlogTool is the command that runs the server's own binlog program where the server is.
func (c *container) binlogTool() []string {
	return []string{"docker", "exec", "--env", "MYSQL_PWD", c.id, c.tool}
}

func (c *container) close() error {
	_, err := docker(context.Background(), "rm", "--force", "--volumes", c.id)
	return err
}

// docker runs the docker command and returns what it prints.
func docker(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
