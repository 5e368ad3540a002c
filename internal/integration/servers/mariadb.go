package servers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// MariaDBRights are the rights that change data capture takes on MariaDB.
const MariaDBRights = "SELECT, REPLICATION SLAVE, BINLOG MONITOR"

// mariaDB is the machine's own MariaDB server if there is one, and else that of the machine's Debian release.
type mariaDB struct{}

func (mariaDB) install(ctx context.Context, in *installer) (programs, error) {
	p := programs{home: "/", server: lookPath("mariadbd"), binlog: lookPath("mariadb-binlog"), client: lookPath("mariadb"), initDB: lookPath("mariadb-install-db")}
	if p.server == "" || p.binlog == "" || p.client == "" || p.initDB == "" {
		names := []string{"usr/sbin/mariadbd", "usr/bin/mariadb-binlog", "usr/bin/mariadb", "usr/bin/my_print_defaults", "usr/bin/resolveip"}
		dir, err := in.once(ctx, "mariadb", func(dir string) error {
			if err := unpackDebian(ctx, "", dir, "mariadb-server-core", "mariadb-client"); err != nil {
				return err
			}
			return wrapPrograms(dir, names...)
		})
		if err != nil {
			return p, err
		}
		at := func(name string) string { return filepath.Join(dir, name) }
		p = programs{home: dir, server: at(names[0]), binlog: at(names[1]), client: at(names[2]), initDB: at("usr/bin/mariadb-install-db")}
	}
	var err error
	p.version, err = versionOf(ctx, p.server)
	return p, err
}

func (mariaDB) format(ctx context.Context, s *Server) error {
	args := []string{"--no-defaults", "--basedir=" + filepath.Join(s.prog.home, "usr"), "--datadir=" + s.data(),
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--force"} // --force: also where the machine's own name is not known
	args = append([]string{"TMPDIR=" + s.tmp(), s.prog.initDB}, append(args, asRoot("--user=root")...)...)
	return run(ctx, s.data(), "env", args...)
}

func (mariaDB) command(s *Server, first bool) (*exec.Cmd, error) {
	args := append(sqlArgs(s), "--gtid-strict-mode=1")
	if first {
		arg, err := initFile(s, users(MariaDBRights))
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return exec.Command(s.prog.server, append(args, s.opts.Args...)...), nil
}

func (mariaDB) ping(ctx context.Context, a Address) error { return pingSQL(ctx, a.DSN("")) }

// setup has nothing left to do but to see that the init file was executed to its end.
func (mariaDB) setup(ctx context.Context, s *Server) error { return pingSQL(ctx, s.Address().CDC("")) }

// asRoot returns the arguments if this process is root.
func asRoot(args ...string) []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return args
}

var versionNumber = regexp.MustCompile(`\d+\.\d+\.\d+\S*`)

// versionOf asks a database server's program for its version.
func versionOf(ctx context.Context, program string) (string, error) {
	out, err := output(ctx, "/", program, "--no-defaults", "--version")
	if err != nil {
		return "", err
	}
	v := versionNumber.FindString(out)
	if strings.Contains(out, "MariaDB") {
		return "MariaDB " + v, nil
	}
	return "MySQL " + v, nil
}
