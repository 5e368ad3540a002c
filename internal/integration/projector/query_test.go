package projector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// TestReadModels lets four writers change a shop at all levels of its trees while a Query and a Fold follow, their process ending and
// starting again; on MariaDB the binlog is rotated all the time, and another session asks for the status, as monitoring does. At the
// end every document equals what one SQL statement says.
func TestReadModels(t *testing.T) {
	onEachPrivate(t, func(t *testing.T, s *server) {
		source := s.source()
		log := s.newLog(source)
		s.createShop()
		stopRelay := s.relay(source, log)
		sink, target := projector.NewMemorySink(), projector.MemoryTarget("home")

		var stops []func() error
		for seed := range uint64(4) {
			stops = append(stops, s.background(func(ctx context.Context) error { return s.work(ctx, seed) }))
		}
		stops = append(stops, s.background(s.disturb))
		documents, windows := map[string]int{}, map[string]int{}
		var mu sync.Mutex
		cfg := projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{s.homes(target), s.shelfItems()},
			Window: 20 * time.Millisecond, Hooks: projector.Hooks{OnWindow: func(w projector.WindowInfo) {
				mu.Lock()
				defer mu.Unlock()
				windows[w.Projector]++
				documents[w.Projector] += w.Documents
			}}}
		const rounds, transactions = 4, 400
		for round := range rounds {
			runner, err := projector.NewRunner(cfg)
			if err != nil {
				t.Fatal(err)
			}
			stop := s.background(runner.Run)
			wait := func() {
				for _, name := range []string{"home", "product"} {
					if err := runner.WaitForGTID(t.Context(), name, s.executed()); err != nil {
						t.Fatal(err)
					}
				}
			}
			for runner.Status()[0].CSN < eventstore.CSN((round+1)*transactions) {
				wait()
			}
			if round == rounds-1 {
				for _, stop := range stops {
					if err := stop(); err != nil {
						t.Fatal(err)
					}
				}
				wait()
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		if err := stopRelay(); err != nil {
			t.Fatal(err)
		}
		head, _, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]map[string]string{"home": s.joinedHomes(), "product": s.joinedItems()} {
			equal := 0
			for d := range sink.Each(name) {
				if string(d.Body) != want[d.ID] {
					t.Errorf("%s document %s at csn %d\n got %s\nwant %s", name, d.ID, d.Version.CSN(), d.Body, want[d.ID])
					continue
				}
				equal++
			}
			if equal != len(want) {
				t.Errorf("%s documents %d equal %d", name, len(want), equal)
			}
			t.Logf("%s: transactions %d windows %d writes %d documents %d equal %d", name, head.CSN, windows[name], documents[name], len(want), equal)
		}
	})
}

// disturb does what makes a MariaDB server's committed position hard to read.
func (s *server) disturb(ctx context.Context) error {
	if !s.mariadb() {
		return nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := 0; ctx.Err() == nil; i++ {
		statement := "SHOW GLOBAL STATUS LIKE 'binlog_snapshot%'"
		if i%20 == 0 {
			statement = "FLUSH BINARY LOGS"
		}
		if _, err := conn.ExecContext(ctx, statement); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// TestSnapshotShowsWhatWasRead takes each transaction as the binlog delivers it, at once: the snapshot must show it. Without the wait a part of the reads
// comes too early.
func TestSnapshotShowsWhatWasRead(t *testing.T) {
	onEachPrivate(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, writer INT NOT NULL)")
		source, db := s.source(), s.database()
		plain := s.connect(s.addr.CDC(s.schema))
		from, err := source.Executed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stream, err := source.Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		var stops []func() error
		for writer := range 4 {
			stops = append(stops, s.background(func(ctx context.Context) error {
				for ctx.Err() == nil {
					if _, err := s.db.ExecContext(ctx, "INSERT INTO t (writer) VALUES (?)", writer); err != nil && ctx.Err() == nil {
						return err
					}
				}
				return nil
			}))
		}
		stops = append(stops, s.background(s.disturb))
		early, checks := 0, 0
		for checks < 1500 {
			slice, err := stream.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(slice.Changes) != 1 {
				continue // another test's
			}
			checks++
			var id int
			key := string(slice.Changes[0].Key)
			if _, err := fmt.Sscanf(key, `{"id":%d}`, &id); err != nil {
				t.Fatal(key, err)
			}
			at := eventstore.Position{Flavor: from.Flavor, GTIDs: slice.ID, Server: slice.Server, File: slice.File, Offset: slice.Offset}
			var n int
			if checks%2 == 0 { // the control: half of them without waiting
				if err := plain.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t WHERE id = ?", id).Scan(&n); err != nil {
					t.Fatal(err)
				}
				early += 1 - n
				continue
			}
			err = db.Snapshot(t.Context(), at, func(ctx context.Context, tx *sql.Tx) error {
				return tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM t WHERE id = ?", id).Scan(&n)
			})
			if err != nil {
				t.Fatal(err)
			}
			if n != 1 {
				t.Errorf("check %d: a snapshot after %v does not show its row", checks, at)
			}
		}
		for _, stop := range stops {
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("checks %d, of them without waiting %d: too early %d", checks, checks/2, early)
	})
}

// TestSnapshotIsOneState: statements of one snapshot see one state.
func TestSnapshotIsOneState(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE account (id INT PRIMARY KEY, cents INT NOT NULL)")
		s.exec("INSERT INTO account VALUES (1, 100), (2, 100)")
		stop := s.background(func(ctx context.Context) error {
			for ctx.Err() == nil {
				if _, err := s.db.ExecContext(ctx, "UPDATE account SET cents = cents + IF(id = 1, 1, -1)"); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
		db := s.database()
		for range 200 {
			sum := 0
			err := db.Snapshot(t.Context(), eventstore.Position{}, func(ctx context.Context, tx *sql.Tx) error {
				for id := 1; id <= 2; id++ {
					var cents int
					if err := tx.QueryRowContext(ctx, "SELECT cents FROM account WHERE id = ?", id).Scan(&cents); err != nil {
						return err
					}
					sum += cents
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if sum != 200 {
				t.Fatalf("the two accounts have %d, want 200", sum)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSnapshotErrors: what may pass is told from what will not.
func TestSnapshotErrors(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		db := s.database()
		for _, c := range []struct {
			name   string
			passes bool
			read   func(ctx context.Context, tx *sql.Tx) error
		}{
			{"missing table", false, func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "SELECT * FROM missing")
				return err
			}},
			{"syntax", false, func(ctx context.Context, tx *sql.Tx) error { _, err := tx.ExecContext(ctx, "SELEC"); return err }},
			{"the loader's own", false, func(context.Context, *sql.Tx) error { return errors.New("boom") }},
			{"killed", true, func(ctx context.Context, tx *sql.Tx) error {
				var id int
				if err := tx.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
					return err
				}
				s.exec(fmt.Sprint("KILL ", id))
				_, err := tx.ExecContext(ctx, "SELECT 1")
				return err
			}},
			{"statement killed", true, func(ctx context.Context, tx *sql.Tx) error {
				var id int
				if err := tx.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
					return err
				}
				done := s.background(func(ctx context.Context) error {
					for ctx.Err() == nil { // until it has begun, and been killed
						if _, err := s.db.ExecContext(ctx, fmt.Sprint("KILL QUERY ", id)); err != nil && ctx.Err() == nil {
							return err
						}
					}
					return nil
				})
				var err error
				for err == nil {
					_, err = tx.ExecContext(ctx, "SELECT BENCHMARK(100000000, SHA2('x', 512))")
				}
				return errors.Join(err, done())
			}},
		} {
			t.Run(c.name, func(t *testing.T) {
				err := db.Snapshot(t.Context(), eventstore.Position{}, c.read)
				if err == nil || errors.Is(err, projector.ErrUnavailable) != c.passes {
					t.Errorf("got %v, want one that passes: %v", err, c.passes)
				}
			})
		}
		gone := s.connect(strings.Replace(s.addr.CDC(""), s.addr.HostPort(), "127.0.0.1:1", 1))
		if err := projector.MySQL(gone).Snapshot(t.Context(), eventstore.Position{}, nil); !errors.Is(err, projector.ErrUnavailable) {
			t.Errorf("an unreachable server: %v, want ErrUnavailable", err)
		}
	})
}

// TestDatabaseCheck: the wrong server and missing rights are said before anything begins.
func TestDatabaseCheck(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		if err := s.database().Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		wrong, want := projector.MySQL(s.db), "not MySQL: use projector.MariaDB"
		if !s.mariadb() {
			wrong, want = projector.MariaDB(s.db), "not MariaDB: use projector.MySQL"
		}
		if err := wrong.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the wrong kind: got %v, want %s", err, want)
		}
		flavor := map[bool]string{true: "mysql", false: "mariadb"}[s.mariadb()]
		err := s.database().Snapshot(t.Context(), eventstore.Position{Flavor: flavor, GTIDs: "x", File: "f.1"}, nil)
		if err == nil || !strings.Contains(err.Error(), "the log is that of a "+flavor+" server") {
			t.Errorf("the other server's position: %v", err)
		}
		if !s.mariadb() {
			return
		}
		user := s.schema[len(s.schema)-20:]
		s.exec("CREATE USER '" + user + "'@'%' IDENTIFIED BY 'x'")
		defer s.db.Exec("DROP USER '" + user + "'@'%'")
		poor := s.connect(user + ":x@tcp(" + s.addr.HostPort() + ")/")
		if err := projector.MariaDB(poor).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "GRANT BINLOG MONITOR") {
			t.Errorf("without BINLOG MONITOR: %v", err)
		}
		err = s.database().Snapshot(t.Context(), eventstore.Position{Flavor: "mariadb", GTIDs: "0-1-1", Server: "4711", File: "binlog.000001", Offset: 4}, nil)
		if err == nil || !strings.Contains(err.Error(), "the log is that of server 4711") {
			t.Errorf("another server's position: %v", err)
		}
	})
}

// TestMariaDBWithoutOptimizedScheduling: such a server's committed position is wrong even as a lower bound.
func TestMariaDBWithoutOptimizedScheduling(t *testing.T) {
	s := open(t, private(t, "--binlog-optimize-thread-scheduling=0"))
	if err := s.database().Check(t.Context()); err == nil || !strings.Contains(err.Error(), "binlog_optimize_thread_scheduling is OFF, want ON") {
		t.Errorf("got %v", err)
	}
}

// TestReadYourWrite: whoever waits for their commit's id finds it in the document.
func TestReadYourWrite(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		source := s.source()
		log := s.newLog(source)
		s.createShop()
		stopRelay := s.relay(source, log)
		sink := projector.NewMemorySink()
		runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink},
			Projectors: []projector.Projector{s.homes(projector.MemoryTarget("home"))}, Window: time.Hour}) // waiting closes the window
		if err != nil {
			t.Fatal(err)
		}
		stop := s.background(runner.Run)
		for i := range 100 {
			title := fmt.Sprint("number ", i)
			s.exec("UPDATE catalog SET title = ? WHERE id = 1", title)
			if err := runner.WaitForGTID(t.Context(), "home", s.executed()); err != nil {
				t.Fatal(err)
			}
			if d, found := sink.Find("home", "1"); !found || !strings.Contains(string(d.Body), `"title":"`+title+`"`) {
				t.Fatalf("after %q the document is %s", title, d.Body)
			}
		}
		for _, stop := range []func() error{stop, stopRelay} {
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
