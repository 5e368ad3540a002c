package binlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestServerDies: a server that is killed or shut down is an error that passes; behind its restart the stream goes on where it was.
func TestServerDies(t *testing.T) {
	t.Run("killed", func(t *testing.T) { testServerDies(t, (*servers.Server).Kill) })
	t.Run("stopped", func(t *testing.T) {
		testServerDies(t, func(s *servers.Server) error { return s.Stop(context.Background()) })
	})
}

func testServerDies(t *testing.T, end func(*servers.Server) error) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind)
		d := open(t, server.Address(), "dies")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		src, from := d.source(t), d.executed(t)
		stream, err := src.Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		d.exec(t, "INSERT INTO a VALUES (1)")
		if slice, err := stream.Next(t.Context()); err != nil || len(slice.Changes) != 1 {
			t.Fatalf("got %v, %v", slice, err)
		}
		if err := end(server); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := stream.Next(t.Context()); !errors.Is(err, cdc.ErrUnavailable) {
				t.Errorf("next: got %v, want ErrUnavailable", err)
			}
		}
		if _, err := src.Open(t.Context(), from); !errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("open: got %v, want ErrUnavailable", err)
		}
		if err := server.Restart(context.Background()); err != nil {
			t.Fatal(err)
		}
		d = &database{DB: connect(t, server.Address().DSN("dies")), kind: kind, addr: server.Address(), schema: "dies"}
		d.exec(t, "INSERT INTO a VALUES (2)")
		got := changes(read(t, src, from, d.executed(t)))
		if len(got) != 2 || string(got[1].Key) != `{"id":2}` {
			t.Errorf("got %v", got)
		}
	})
}

// TestServerHangs: a server that keeps its connections open and says nothing is noticed.
func TestServerHangs(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind)
		d := open(t, server.Address(), "hangs")
		stream, err := d.source(t).Open(t.Context(), d.executed(t))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if err := server.Pause(); err != nil {
			t.Fatal(err)
		}
		defer server.Continue()
		if _, err := stream.Next(t.Context()); !errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

// TestCancelledNext: a call that was cancelled loses nothing, and the next one goes on.
func TestCancelledNext(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "cancelled")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		stream, err := d.source(t).Open(t.Context(), d.executed(t))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		for i := range 5 {
			d.exec(t, "INSERT INTO a VALUES (?)", i)
			slice, err := stream.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`{"id":%d}`, i); len(slice.Changes) != 1 || string(slice.Changes[0].Key) != want {
				t.Fatalf("got %v, want %s", slice.Changes, want)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := stream.Next(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, want context.Canceled", err)
			}
		}
	})
}

// TestDuplicateServerID: the stream that loses the id is told which.
func TestDuplicateServerID(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "duplicate")
		src := d.source(t, func(c *binlog.Config) { c.ServerID = 424242 })
		from := d.executed(t)
		first, err := src.Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		second, err := src.Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		for err = nil; err == nil; {
			_, err = first.Next(t.Context())
		}
		if !errors.Is(err, cdc.ErrUnavailable) || !strings.Contains(err.Error(), "424242") {
			t.Errorf("got %v, want ErrUnavailable with the id", err)
		}
	})
}

// TestKilledThread: a stream whose thread on the server is killed.
func TestKilledThread(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "killed")
		stream, err := d.source(t).Open(t.Context(), d.executed(t))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		d.killDumps(t)
		if _, err := stream.Next(t.Context()); !errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

// TestTooManyConnections: limits that others use up may pass.
func TestTooManyConnections(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "limited")
		d.exec(t, "CREATE USER limited@'%' IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1")
		t.Cleanup(func() { d.exec(t, "DROP USER limited@'%'") })
		d.exec(t, "GRANT REPLICATION SLAVE ON *.* TO limited@'%'")
		src := d.source(t, func(c *binlog.Config) { c.User, c.Password = "limited", "secret" })
		stream, err := src.Open(t.Context(), d.executed(t))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if _, err := src.Executed(t.Context()); !errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

// TestOffline: MySQL in offline mode takes no ordinary accounts for a while.
func TestOffline(t *testing.T) {
	d := open(t, ownServer(t, servers.MySQL), "offline")
	stream, err := d.source(t).Open(t.Context(), d.executed(t))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	d.exec(t, "SET GLOBAL offline_mode = 1")
	defer d.exec(t, "SET GLOBAL offline_mode = 0")
	_, nextErr := stream.Next(t.Context())
	_, openErr := d.source(t).Open(t.Context(), cdc.Position{})
	for _, err := range []error{nextErr, openErr} {
		if !errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
}

// TestPurgedText: a lost position says what is gone and which ways are left.
func TestPurgedText(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind)
		d := open(t, server.Address(), "purged")
		from := d.executed(t)
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		d.purge(t)
		src := d.source(t)
		_, oldestErr := src.Oldest(t.Context())
		_, openErr := src.Open(t.Context(), from)
		_, zeroErr := src.Open(t.Context(), cdc.Position{})
		for _, err := range []error{oldestErr, openErr, zeroErr} {
			if !errors.Is(err, cdc.ErrPositionLost) || errors.Is(err, cdc.ErrUnavailable) || !strings.Contains(err.Error(), "The ways on") {
				t.Errorf("got %v, want ErrPositionLost with the ways on", err)
			}
		}
		stream, err := src.Open(t.Context(), d.executed(t))
		if err != nil {
			t.Fatalf("open at the end: %v", err)
		}
		stream.Close()
	})
}

// TestOldest: a server that has everything gives the beginning, and the stream has every transaction it executed.
func TestOldest(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind)
		d := open(t, server.Address(), "oldest")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		d.exec(t, "FLUSH BINARY LOGS")
		d.exec(t, "INSERT INTO a VALUES (1)")
		oldest, err := d.source(t).Oldest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := changes(read(t, d.source(t), oldest, d.executed(t)))
		if len(got) != 1 || string(got[0].After) != `{"id":1}` {
			t.Errorf("got %v", got)
		}
	})
}

// TestForeignPosition: a position that the server never reached is not waited for, and not taken for a lost one.
func TestForeignPosition(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "elsewhere")
		at := d.executed(t)
		beyond, other := at.Server+":1-99999999", cdc.Position{Flavor: binlog.MariaDB, GTIDs: "0-1-1"}
		if kind == servers.MariaDB {
			beyond, other = "0-"+at.Server+"-99999999", cdc.Position{Flavor: binlog.MySQL, GTIDs: "11111111-2222-3333-4444-555555555555:1"}
		}
		for text, p := range map[string]cdc.Position{
			"the position has transactions that the server has not": {Flavor: at.Flavor, GTIDs: beyond},
			"the position is of a": other,
			"want":                 {Flavor: at.Flavor, GTIDs: "nonsense"},
		} {
			stream, err := d.source(t).Open(t.Context(), p)
			if err == nil {
				defer stream.Close()
				_, err = stream.Next(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), text) || errors.Is(err, cdc.ErrUnavailable) || errors.Is(err, cdc.ErrPositionLost) {
				t.Errorf("%v: got %v, want %q", p, err, text)
			}
		}
	})
}

// TestCutConnections reads a backlog through a proxy that cuts the connection after more and more bytes, opening again each time
// where the last whole transaction ended: everything comes, once.
func TestCutConnections(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "cuts")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(300))")
		from := d.executed(t)
		for i := range 20 {
			d.exec(t, "INSERT INTO a VALUES (?, ?), (?, ?)", 2*i, strings.Repeat("x", 300), 2*i+1, "y")
		}
		until := d.executed(t)
		want := read(t, d.source(t), from, until)
		proxy := newProxy(t, d.addr.HostPort())
		src := d.source(t, func(c *binlog.Config) { c.Addr = proxy.addr })
		var got []transaction
		at, cuts := from, 0
		for limit := int64(100); len(got) < len(want); limit += 97 {
			proxy.limit.Store(limit)
			stream, err := src.Open(t.Context(), at)
			if err == nil {
				var txs []transaction
				txs, err = readStream(t.Context(), stream, at, until)
				stream.Close()
				for _, tx := range txs {
					if tx.whole {
						got = append(got, tx)
						at = add(t, at, tx.id)
					}
				}
			}
			if err != nil {
				if cuts++; !errors.Is(err, cdc.ErrUnavailable) {
					t.Fatalf("cut after %d bytes: got %v, want ErrUnavailable", limit, err)
				}
			}
		}
		for i, tx := range got {
			if tx.id != want[i].id || fmt.Sprint(tx.changes) != fmt.Sprint(want[i].changes) {
				t.Fatalf("transaction %d is %s, want %s", i, tx.id, want[i].id)
			}
		}
		if cuts < 10 {
			t.Errorf("only %d cuts", cuts)
		}
	})
}

// proxy forwards connections and cuts each after limit bytes from the server.
type proxy struct {
	addr  string
	limit atomic.Int64
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &proxy{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(server, client)
				server.Close()
			}()
			go func() {
				_, _ = io.CopyN(client, server, p.limit.Load())
				client.Close()
				server.Close()
			}()
		}
	}()
	return p
}

// TestTaggedGTIDs: MySQL's tags are part of a transaction's id.
func TestTaggedGTIDs(t *testing.T) {
	d := open(t, servers.Find(t, servers.MySQL), "tagged")
	d.SetMaxOpenConns(1)
	d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
	from := d.executed(t)
	d.exec(t, "SET SESSION gtid_next = 'AUTOMATIC:blue'")
	d.exec(t, "INSERT INTO a VALUES (1)")
	d.exec(t, "INSERT INTO a VALUES (2)")
	d.exec(t, "SET SESSION gtid_next = 'AUTOMATIC'")
	d.exec(t, "INSERT INTO a VALUES (3)")
	until := d.executed(t)
	txs := read(t, d.source(t), from, until)
	if len(changes(txs)) != 3 || !strings.Contains(txs[0].id, ":blue:") || strings.Contains(txs[2].id, "blue") {
		t.Fatalf("got %v", txs)
	}
	if again := read(t, d.source(t), add(t, from, txs[0].id), until); len(again) != 2 || again[0].id != txs[1].id {
		t.Errorf("behind the first: got %v", again)
	}
	if txs[0].time.Nanosecond() == 0 || txs[0].time.After(txs[1].time) {
		t.Errorf("commit times %v, %v", txs[0].time, txs[1].time)
	}
}

// TestChecksumChanges: files with and without checksums follow each other.
func TestChecksumChanges(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "checksums")
		t.Cleanup(func() { d.exec(t, "SET GLOBAL binlog_checksum = 'CRC32'") })
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		from := d.executed(t)
		for i, algorithm := range []string{"CRC32", "NONE", "CRC32"} {
			d.exec(t, "SET GLOBAL binlog_checksum = '"+algorithm+"'")
			d.exec(t, "INSERT INTO a VALUES (?)", i)
		}
		if got := changes(read(t, d.source(t), from, d.executed(t))); len(got) != 3 {
			t.Errorf("got %d changes, want 3", len(got))
		}
	})
}

// TestBigRows: rows of more than a packet, in both images.
func TestBigRows(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "bigrows")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v LONGTEXT)")
		from := d.executed(t)
		d.exec(t, "INSERT INTO a VALUES (1, REPEAT('a', 20000000))")
		d.exec(t, "UPDATE a SET v = REPEAT('b', 30000000)")
		got := changes(read(t, d.source(t), from, d.executed(t)))
		if len(got) != 2 || len(got[0].After) != 20000000+len(`{"id":1,"v":""}`) || string(got[1].Before) != string(got[0].After) ||
			string(got[1].After) != `{"id":1,"v":"`+strings.Repeat("b", 30000000)+`"}` {
			t.Errorf("got %d changes, or wrong images", len(got))
		}
	})
}

// TestDamagedFile: a bit that has changed in a binlog file is an error. The servers themselves do not look (their replicas would).
func TestDamagedFile(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, private(t, kind).Address(), "damaged")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(20))")
		from := d.executed(t)
		d.exec(t, "INSERT INTO a VALUES (1, 'a needle to find')")
		until := d.executed(t)
		path := filepath.Join(d.value(t, "SELECT @@datadir"), from.File)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.LastIndex(content, []byte("a needle to find")) // the statement may stand in front of its row
		if at < 0 {
			t.Fatal("the row is not in the file")
		}
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteAt([]byte("A"), int64(at)); err != nil {
			t.Fatal(err)
		}
		stream, err := d.source(t).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		_, err = readStream(t.Context(), stream, from, until)
		if _, ok := errors.AsType[*cdc.DecodeError](err); !ok || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("got %v, want a *cdc.DecodeError about the checksum", err)
		}
	})
}
