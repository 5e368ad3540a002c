package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"

	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// Tool reads a server's binlog with the server's own program: mysqlbinlog or mariadb-binlog.
type Tool struct {
	// Command is the program, behind what runs it where it lives, e.g. docker exec and its arguments.
	Command []string
	// Addr is the server's host:port as the program sees it.
	Addr string
	// User needs REPLICATION SLAVE.
	User, Password string
	// Flavor is "mysql" or "mariadb".
	Flavor string
}

// Read returns every transaction that the server still has; see [ParseBinlog]. admin lists the files.
func (t Tool) Read(ctx context.Context, admin *sql.DB) ([]Transaction, error) {
	files, err := Files(ctx, admin)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(t.Addr)
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(t.Command[1:]), "--no-defaults", "--read-from-remote-server", "--host="+host, "--port="+port, "--user="+t.User,
		"-vv", "--base64-output=DECODE-ROWS", "--to-last-log", files[0])
	cmd := exec.CommandContext(ctx, t.Command[0], args...)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+t.Password)
	last := &supervise.LastLine{}
	cmd.Stderr = last
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read the binlog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("read the binlog: %w", err)
	}
	transactions, err := ParseBinlog(out, t.Flavor)
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

// Files lists the server's binlog files, oldest first. There is one at least.
func Files(ctx context.Context, admin *sql.DB) ([]string, error) {
	rows, err := admin.QueryContext(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return nil, fmt.Errorf("list the binlog files: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("list the binlog files: %w", err)
	}
	var files []string
	for rows.Next() {
		var name string
		into := []any{&name}
		for range columns[1:] {
			into = append(into, new(sql.RawBytes))
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("list the binlog files: %w", err)
		}
		files = append(files, name)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the binlog files: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("list the binlog files: there is none")
	}
	return files, nil
}

// Purge leaves only the newest binlog file. The server keeps a file until its storage engines have written a checkpoint.
func Purge(ctx context.Context, admin *sql.DB) error {
	files, err := Files(ctx, admin)
	for err == nil && len(files) > 1 {
		if _, err = admin.ExecContext(ctx, "PURGE BINARY LOGS TO '"+files[len(files)-1]+"'"); err == nil {
			files, err = Files(ctx, admin)
		}
	}
	if err != nil {
		return fmt.Errorf("purge the binlog: %w", err)
	}
	return nil
}
