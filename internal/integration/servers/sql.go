package servers

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sqlArgs are the arguments that MySQL and MariaDB have in common: a durable row binlog, little memory. Socket and pid file lie in the
// data folder, where the server runs: their names are relative, because the path of a socket has at most 107 bytes.
func sqlArgs(s *Server) []string {
	args := []string{
		"--no-defaults",
		"--basedir=" + filepath.Join(s.prog.home, "usr"),
		"--datadir=" + s.data(),
		"--tmpdir=" + s.tmp(), // its own: a server that starts removes others' temporary tables
		"--port=" + strconv.Itoa(s.port),
		"--bind-address=127.0.0.1",
		"--socket=server.sock",
		"--pid-file=server.pid",
		"--skip-name-resolve",
		"--server-id=" + strconv.Itoa(s.port),
		"--log-bin=binlog",
		"--binlog-format=ROW",
		"--binlog-row-image=FULL",
		"--binlog-row-metadata=FULL",
		"--sync-binlog=1",
		"--innodb-flush-log-at-trx-commit=1",
		"--innodb-buffer-pool-size=128M",
		"--character-set-server=utf8mb4",
		"--max-allowed-packet=64M",
		"--performance-schema=OFF",
	}
	return append(args, asRoot("--user=root")...)
}

// initFile writes the statements that make the users into a file that the server executes before it listens for the first time, and returns the argument.
// They stay out of the binlog.
func initFile(s *Server, statements []string) (string, error) {
	file := filepath.Join(s.dir, "users.sql")
	text := "SET SESSION sql_log_bin = 0;\n" + strings.Join(statements, ";\n") + ";\n"
	return "--init-file=" + file, os.WriteFile(file, []byte(text), 0o644)
}

// users are the statements that make the administrator, who has no password but comes from loopback only, and the ordinary user.
func users(rights string) []string {
	return append([]string{
		"CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY ''",
		"GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION",
	}, ordinaryUser(rights)...)
}

func ordinaryUser(rights string) []string {
	return []string{

		"CREATE USER IF NOT EXISTS '" + CDCUser + "'@'%' IDENTIFIED BY '" + CDCPassword + "'",
		"GRANT " + rights + " ON *.* TO '" + CDCUser + "'@'%'",
	}
}

func pingSQL(ctx context.Context, dsn string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}
