package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// An encrypter is a driver whose server can encrypt its binlog. encrypt sees to what that takes and returns more arguments; it may put
// another program in place of the server's. The keys lie in the server's folder.
type encrypter interface {
	encrypt(ctx context.Context, in *installer, s *Server) (args []string, err error)
}

// encrypt sets the file key management plugin up with one random key. Debian has the plugin in a package of its own.
func (mariaDB) encrypt(ctx context.Context, in *installer, s *Server) ([]string, error) {
	const plugin = "file_key_management.so"
	plugins := filepath.Join(s.prog.home, "usr/lib/mysql/plugin")
	if _, err := os.Stat(filepath.Join(plugins, plugin)); err != nil {
		dir, err := in.once(ctx, "mariadb-plugins", func(dir string) error { return unpackAlone(ctx, "", dir, "mariadb-server") })
		if err != nil {
			return nil, err
		}
		plugins = filepath.Join(dir, "usr/lib/mysql/plugin")
	}
	keys := filepath.Join(s.dir, "keys")
	if err := writeOnce(keys, func() string { return "1;" + randomHex(32) + "\n" }); err != nil {
		return nil, err
	}
	return []string{"--plugin-dir=" + plugins, "--plugin-load-add=file_key_management=" + plugin,
		"--loose-file-key-management-filename=" + keys, "--encrypt-binlog=ON", "--plugin-maturity=unknown"}, nil
}

// encrypt sets the keyring component up. The server looks for the list of its components beside the program's name, and for the
// component's settings beside the component, so both get a name in the server's folder.
func (mySQL) encrypt(_ context.Context, _ *installer, s *Server) ([]string, error) {
	const component = "component_keyring_file"
	library := filepath.Join(s.prog.home, "usr/lib/mysql/plugin", component+".so")
	if _, err := os.Stat(library); err != nil {
		return nil, fmt.Errorf("MySQL's keyring component: %w", err)
	}
	bin, plugins := filepath.Join(s.dir, "bin"), filepath.Join(s.dir, "plugin")
	program, real := filepath.Join(bin, "mysqld"), s.prog.server
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", program)
	if text, err := os.ReadFile(s.prog.server); err == nil && strings.HasPrefix(string(text), "#!") { // see wrapPrograms
		real += ".real"
		script = strings.Replace(string(text), "'"+real+"'", "'"+program+"'", 1)
	}
	err := errors.Join(openDir(bin), openDir(plugins), link(real, program), link(library, filepath.Join(plugins, component+".so")))
	for file, text := range map[string]string{
		filepath.Join(bin, "mysqld.my"):          `{"components": "file://` + component + `"}`,
		filepath.Join(plugins, component+".cnf"): fmt.Sprintf(`{"path": %q, "read_only": false}`, filepath.Join(s.dir, "keys")),
		filepath.Join(bin, "start"):              script,
	} {
		err = errors.Join(err, os.WriteFile(file, []byte(text), 0o755))
	}
	s.prog.server = filepath.Join(bin, "start")
	return []string{"--plugin-dir=" + plugins, "--binlog-encryption=ON"}, err
}

// link makes a symbolic link, unless it is there.
func link(to, name string) error {
	if err := os.Symlink(to, name); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// writeOnce writes a file, unless it is there.
func writeOnce(name string, text func() string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	return os.WriteFile(name, []byte(text()), 0o600)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%x", b)
}
