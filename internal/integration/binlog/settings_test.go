package binlog

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// problems returns what Check finds wrong.
func problems(t *testing.T, s *binlog.Source) []cdc.Problem {
	t.Helper()
	err := s.Check(t.Context())
	if err == nil {
		return nil
	}
	ce, ok := errors.AsType[*cdc.CheckError](err)
	if !ok {
		t.Fatalf("check: got %v, want a *cdc.CheckError", err)
	}
	return ce.Problems
}

// mentions demands one problem for each of the words, and no other.
func mentions(t *testing.T, got []cdc.Problem, words ...string) {
	t.Helper()
	for _, word := range words {
		n := 0
		for _, p := range got {
			if strings.Contains(p.What, word) {
				n++
			}
			if p.Fix == "" {
				t.Errorf("%q has no fix", p.What)
			}
		}
		if n != 1 {
			t.Errorf("%d problems mention %s, want 1", n, word)
		}
	}
	if len(got) != len(words) {
		t.Errorf("got %d problems, want %d: %q", len(got), len(words), got)
	}
}

// mend executes the statements of the fixes.
func (d *database) mend(t *testing.T, problems []cdc.Problem) {
	t.Helper()
	for _, p := range problems {
		for statement := range strings.SplitSeq(p.Fix, ";") {
			statement, _, _ = strings.Cut(statement, " (")
			statement, _, _ = strings.Cut(statement, ", and the same in")
			_, statement = after(statement, "stays quiet: ")
			if s := strings.TrimSpace(statement); strings.HasPrefix(s, "SET ") || strings.HasPrefix(s, "GRANT ") {
				d.exec(t, s)
			}
		}
	}
}

func after(s, sep string) (string, string) {
	if before, rest, ok := strings.Cut(s, sep); ok {
		return before, rest
	}
	return "", s
}

// TestWrongSettings: all wrong settings come in one error, and its own statements mend them.
func TestWrongSettings(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		args := []string{"--binlog-format=MIXED", "--binlog-row-image=MINIMAL", "--binlog-row-metadata=MINIMAL"}
		want := []string{"binlog_format", "binlog_row_image", "binlog_row_metadata"}
		if kind == servers.MySQL {
			args = append(args, "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF", "--server-id=0")
			want = append(want, "server_id", "gtid_mode", "enforce_gtid_consistency")
		} else {
			args = append(args, "--gtid-strict-mode=0", "--mysql56-temporal-format=0")
			want = append(want, "gtid_strict_mode", "mysql56_temporal_format")
		}
		server := private(t, kind, args...)
		d := open(t, server.Address(), "wrong")
		got := problems(t, d.source(t))
		mentions(t, got, want...)
		d.mend(t, got)
		mentions(t, problems(t, d.source(t)))
	})
}

// TestNoBinlog: what needs a restart is listed, too.
func TestNoBinlog(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind, "--skip-log-bin")
		d := open(t, server.Address(), "wrong")
		mentions(t, problems(t, d.source(t)), "log_bin")
	})
}

// TestReplicaWithoutUpdates: a MariaDB replica that does not log what it replicates.
func TestReplicaWithoutUpdates(t *testing.T) {
	d := open(t, private(t, servers.MariaDB).Address(), "wrong")
	d.exec(t, "SET GLOBAL gtid_slave_pos = '7-99-1,"+d.executed(t).GTIDs+"'")
	mentions(t, problems(t, d.source(t)), "log_slave_updates")
}

// TestBinlogFilter: databases that the server leaves out of its binlog are found.
func TestBinlogFilter(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind, "--binlog-do-db=a", "--binlog-ignore-db=b")
		d := open(t, server.Address(), "wrong")
		mentions(t, problems(t, d.source(t)), "binlog_do_db", "binlog_ignore_db")
	})
}

// TestMissingGrants: an account with nothing; then with what the error says.
func TestMissingGrants(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "grants")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		for _, user := range []string{"nobody", "somebody"} {
			d.exec(t, "DROP USER IF EXISTS '"+user+"'@'%'")
			d.exec(t, "CREATE USER '"+user+"'@'%' IDENTIFIED BY 'secret'")
			t.Cleanup(func() { d.exec(t, "DROP USER '"+user+"'@'%'") })
			login := func(c *binlog.Config) {
				c.User, c.Password = user, "secret"
				if user == "somebody" {
					c.Filter.Include = nil // everything
				}
			}
			binlogGrant := "REPLICATION CLIENT"
			if kind == servers.MariaDB {
				binlogGrant = "BINLOG MONITOR"
			}
			got := problems(t, d.source(t, login))
			mentions(t, got, "REPLICATION SLAVE", binlogGrant, "SELECT")
			for _, p := range got {
				if strings.Contains(p.What, "secret") {
					t.Errorf("the problem tells the password: %s", p.What)
				}
			}
			d.mend(t, got)
			mentions(t, problems(t, d.source(t, login)))
			stream, err := d.source(t, login).Open(t.Context(), d.executed(t))
			if err != nil {
				t.Fatalf("open with the grants: %v", err)
			}
			stream.Close()
		}
	})
}

// TestGrantsOfRole: what an active role may do counts.
func TestGrantsOfRole(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "roles")
		rights, role, user := servers.MySQLRights, "capture_role", "capturer"
		makeDefault := "SET DEFAULT ROLE capture_role TO capturer@'%'"
		if kind == servers.MariaDB {
			rights, makeDefault = servers.MariaDBRights, "SET DEFAULT ROLE capture_role FOR capturer@'%'"
		}
		d.exec(t, "DROP USER IF EXISTS capturer@'%'")
		d.exec(t, "DROP ROLE IF EXISTS "+role)
		d.exec(t, "CREATE ROLE "+role)
		d.exec(t, "GRANT "+rights+" ON *.* TO "+role)
		d.exec(t, "CREATE USER capturer@'%' IDENTIFIED BY 'secret'")
		d.exec(t, "GRANT "+role+" TO capturer@'%'")
		d.exec(t, makeDefault)
		t.Cleanup(func() {
			d.exec(t, "DROP USER capturer@'%'")
			d.exec(t, "DROP ROLE "+role)
		})
		mentions(t, problems(t, d.source(t, func(c *binlog.Config) { c.User, c.Password = user, "secret" })))
	})
}

// TestMissingSlaveGrant: without Check, opening says which grant is missing.
func TestMissingSlaveGrant(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "grants")
		d.exec(t, "DROP USER IF EXISTS reader@'%'")
		d.exec(t, "CREATE USER reader@'%' IDENTIFIED BY 'secret'")
		t.Cleanup(func() { d.exec(t, "DROP USER reader@'%'") })
		from := d.executed(t)
		_, err := d.source(t, func(c *binlog.Config) { c.User, c.Password = "reader", "secret" }).Open(t.Context(), from)
		if err == nil || !strings.Contains(err.Error(), "REPLICATION SLAVE") || errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("got %v, want an error that names REPLICATION SLAVE and does not pass", err)
		}
	})
}

// TestLogin: each way not to get in has its own error, and only those that may pass are ErrUnavailable.
func TestLogin(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "login")
		d.exec(t, "DROP USER IF EXISTS tlsonly@'%'")
		d.exec(t, "CREATE USER tlsonly@'%' IDENTIFIED BY 'secret' REQUIRE SSL")
		t.Cleanup(func() { d.exec(t, "DROP USER tlsonly@'%'") })
		try := func(name string, passes bool, text string, edit func(*binlog.Config)) {
			t.Run(name, func(t *testing.T) {
				s := d.source(t, edit)
				_, openErr := s.Open(t.Context(), cdc.Position{})
				_, executedErr := s.Executed(t.Context())
				for _, err := range []error{s.Check(t.Context()), openErr, executedErr} {
					if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "secret") {
						t.Errorf("got %v, want an error with %q", err, text)
					} else if errors.Is(err, cdc.ErrUnavailable) != passes {
						t.Errorf("%v: ErrUnavailable is %v, want %v", err, !passes, passes)
					}
				}
			})
		}
		try("wrong password", false, "wrong name or password", func(c *binlog.Config) { c.Password = "secret" })
		try("no such account", false, "wrong name or password", func(c *binlog.Config) { c.User = "nosuchaccount" })
		try("TLS demanded", false, "TLS", func(c *binlog.Config) { c.User, c.Password = "tlsonly", "secret" })
		try("nothing listens", true, "refused", func(c *binlog.Config) { c.Addr = closedPort(t) })
		try("no such host", true, "no.such.host.invalid", func(c *binlog.Config) { c.Addr = "no.such.host.invalid:3306" })
		try("hangs up", true, "connect to", func(c *binlog.Config) { c.Addr = answering(t, "") })
		try("another protocol", false, "is it a MySQL or MariaDB server", func(c *binlog.Config) { c.Addr = answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n") })
		try("garbage handshake", false, "MySQL protocol", func(c *binlog.Config) { c.Addr = answering(t, "\x05\x00\x00\x00\x0aabcd") })
		other := binlog.MySQL
		if kind == servers.MySQL {
			other = binlog.MariaDB
		}
		try("other flavor", false, "Flavor", func(c *binlog.Config) { c.Flavor = other })
	})
}

// closedPort is an address where nothing listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answering is the address of a server that sends text and hangs up.
func answering(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(text))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// TestForeignKeys: what a foreign key changes in a captured table is either in the stream, or refused before.
func TestForeignKeys(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "cascades")
		t.Cleanup(func() { d.exec(t, "DROP DATABASE cascades") }) // it would be refused to who captures everything
		d.exec(t, "CREATE TABLE p (id INT PRIMARY KEY)")
		d.exec(t, "CREATE TABLE c (id INT PRIMARY KEY, p INT, CONSTRAINT parent FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL)")
		d.exec(t, "CREATE TABLE r (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))")
		d.exec(t, "INSERT INTO p VALUES (1)")
		d.exec(t, "INSERT INTO c VALUES (1, 1)")
		from := d.executed(t)
		d.exec(t, "DELETE FROM p")
		if got := changes(read(t, d.source(t), from, d.executed(t))); len(got) == 2 {
			mentions(t, problems(t, d.source(t)))
			return
		}
		mentions(t, problems(t, d.source(t)), "foreign key parent of table cascades.c has ON DELETE CASCADE and ON UPDATE SET NULL")
		mentions(t, problems(t, d.source(t, func(c *binlog.Config) { c.Filter.Exclude = []string{"cascades.c"} })))
		d.exec(t, "ALTER TABLE c DROP FOREIGN KEY parent")
		mentions(t, problems(t, d.source(t)))
		if kind == servers.MariaDB {
			d.exec(t, "CREATE TABLE v (id INT PRIMARY KEY, p INT, CONSTRAINT kept FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE) WITH SYSTEM VERSIONING")
			mentions(t, problems(t, d.source(t)), "foreign key kept of table cascades.v has ON DELETE CASCADE")
		}
	})
}
