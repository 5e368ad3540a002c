package servers

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/go-sql-driver/mysql" // the driver for readiness probes
)

// MySQLRights are the rights that change data capture takes on MySQL.
const MySQLRights = "SELECT, REPLICATION SLAVE, REPLICATION CLIENT"

// mySQL is the machine's own MySQL server if there is one, and else that of Debian unstable: Debian's releases have none.
type mySQL struct{}

func (mySQL) install(ctx context.Context, in *installer) (programs, error) {
	p := programs{home: "/", server: lookPath("mysqld"), binlog: lookPath("mysqlbinlog"), client: lookPath("mysql")}
	if p.server != "" && p.binlog != "" && p.client != "" {
		// These names are MariaDB's too.
		if v, err := versionOf(ctx, p.server); err == nil && strings.HasPrefix(v, "MySQL ") {
			p.version = v
			return p, nil
		}
	}
	names := []string{"usr/sbin/mysqld", "usr/bin/mysqlbinlog", "usr/bin/mysql"}
	dir, err := in.once(ctx, "mysql", func(dir string) error {
		if err := unpackDebian(ctx, "sid", dir, "mysql-server-core", "mysql-client-core"); err != nil {
			return err
		}
		return wrapPrograms(dir, names...)
	})
	if err != nil {
		return p, err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	p = programs{home: dir, server: at(names[0]), binlog: at(names[1]), client: at(names[2])}
	p.version, err = versionOf(ctx, p.server)
	return p, err
}

func (mySQL) share(s *Server) string {
	return "--lc-messages-dir=" + filepath.Join(s.prog.home, "usr/share/mysql")
}

func (m mySQL) format(ctx context.Context, s *Server) error {
	args := []string{"--no-defaults", "--initialize-insecure", "--basedir=" + filepath.Join(s.prog.home, "usr"), "--datadir=" + s.data(), m.share(s)}
	return run(ctx, s.data(), s.prog.server, append(args, asRoot("--user=root")...)...)
}

func (m mySQL) command(s *Server, first bool) (*exec.Cmd, error) {
	args := append(sqlArgs(s), m.share(s), "--secure-file-priv=", "--mysqlx=OFF", "--gtid-mode=ON", "--enforce-gtid-consistency=ON")
	if first {
		arg, err := initFile(s, users(MySQLRights))
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return exec.Command(s.prog.server, append(args, s.opts.Args...)...), nil
}

func (mySQL) ping(ctx context.Context, a Address) error { return pingSQL(ctx, a.DSN("")) }

// setup has nothing left to do but to see that the init file was executed to its end.
func (mySQL) setup(ctx context.Context, s *Server) error { return pingSQL(ctx, s.Address().CDC("")) }
