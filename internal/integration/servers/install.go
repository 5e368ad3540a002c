package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// programs are the files of an installed server.
type programs struct {
	home    string // folder of the installation; the server's base directory
	server  string // the server itself, or the java that runs it
	binlog  string // mysqlbinlog or mariadb-binlog
	client  string // mysql or mariadb
	initDB  string // mariadb-install-db
	version string // as the program or its package says it
}

// An installer puts servers into the cache folder.
type installer struct {
	cache string
	logf  func(format string, args ...any)
}

// once makes the folder name in the cache by calling fill with it, unless an earlier call, in whatever process, finished doing so.
// The marker is written last: what an interrupted installation left is thrown away.
func (in *installer) once(ctx context.Context, name string, fill func(dir string) error) (string, error) {
	dir := filepath.Join(in.cache, name)
	marker := filepath.Join(dir, ".complete")
	if _, err := os.Stat(marker); err == nil {
		return dir, nil
	}
	l, err := lock(ctx, filepath.Join(in.cache, "lock", name))
	if err != nil {
		return "", err
	}
	defer l.unlock()
	if _, err := os.Stat(marker); err == nil {
		return dir, nil // another process did it while we waited
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := openDir(dir); err != nil {
		return "", err
	}
	in.logf("installing %s into %s", name, in.cache)
	begin := time.Now()
	if err := fill(dir); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	if err := os.WriteFile(marker, []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644); err != nil {
		return "", err
	}
	in.logf("installed %s in %.1f s", name, time.Since(begin).Seconds())
	return dir, nil
}

// run runs a program to its end; its error holds the last lines the program wrote.
func run(ctx context.Context, dir string, name string, args ...string) error {
	_, err := output(ctx, dir, name, args...)
	return err
}

// output is run, and returns what the program wrote to both its outputs.
func output(ctx context.Context, dir string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, lastLines(string(out), 15))
	}
	return string(out), nil
}

// lastLines returns the last n lines of text, indented.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, l := range lines {
		lines[i] = "    " + l[:min(len(l), 400)]
	}
	return strings.Join(lines, "\n")
}

// lookPath finds a program also in the folders for administrators, which are not on every user's PATH.
func lookPath(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}
