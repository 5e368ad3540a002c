package binlog

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestFailover: a stream that began on a server goes on at its replica, whose files and offsets are others: the same transactions.
func TestFailover(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		var args []string
		if kind == servers.MariaDB {
			args = []string{"--log-slave-updates"}
		}
		first, second := private(t, kind, args...), private(t, kind, args...)
		a := open(t, first.Address(), "failover")
		b := &database{DB: connect(t, second.Address().DSN("")), kind: kind, addr: second.Address(), schema: "failover"}
		host, port, err := net.SplitHostPort(first.Address().HostPort())
		if err != nil {
			t.Fatal(err)
		}
		b.exec(t, "FLUSH BINARY LOGS") // so that its files differ
		a.exec(t, "CREATE USER replica@'%' IDENTIFIED BY 'secret'")
		a.exec(t, "GRANT REPLICATION SLAVE ON *.* TO replica@'%'")
		if kind == servers.MariaDB {
			b.exec(t, fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='replica', MASTER_PASSWORD='secret', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos", host, port))
			b.exec(t, "START SLAVE")
		} else {
			b.exec(t, fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%s, SOURCE_USER='replica', SOURCE_PASSWORD='secret', SOURCE_CONNECT_RETRY=1, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1", host, port))
			b.exec(t, "START REPLICA")
		}
		testCompleted(t, a, b)
		a.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(10))")
		from := a.executed(t)
		for i := range 10 {
			a.exec(t, "INSERT INTO a VALUES (?, 'x')", i)
		}
		until := a.executed(t)
		want := read(t, a.source(t), from, until)
		b.follow(t, until)
		if err := first.Kill(); err != nil {
			t.Fatal(err)
		}
		b.exec(t, "INSERT INTO failover.a VALUES (100, 'new')")
		middle := from
		for i := range 5 {
			middle = add(t, middle, want[i].id)
		}
		got := read(t, b.source(t), middle, b.executed(t))
		if len(got) != 6 {
			t.Fatalf("got %d transactions, want 6", len(got))
		}
		for i := range 5 {
			if got[i].id != want[5+i].id || fmt.Sprint(got[i].changes) != fmt.Sprint(want[5+i].changes) {
				t.Errorf("transaction %d is %s, want %s", i, got[i].id, want[5+i].id)
			}
			if !got[i].time.Equal(want[5+i].time) {
				t.Errorf("%s: committed at %v here and %v there", got[i].id, got[i].time, want[5+i].time)
			}
		}
	})
}

// follow waits until a replica has executed what its primary has.
func (d *database) follow(t *testing.T, until cdc.Position) {
	t.Helper()
	wait := "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)"
	if d.kind == servers.MariaDB {
		wait = "SELECT MASTER_GTID_WAIT(?, 60)"
	}
	if got := d.value(t, wait, until.GTIDs); got != "0" {
		t.Fatalf("the replica does not follow: %s", got)
	}
}

// testCompleted: a server that has purged an XA PREPARE, and completed the transaction since, is not taken for one that has forgotten it while
// its replica has the position: the rows come from there.
func testCompleted(t *testing.T, a, b *database) {
	t.Helper()
	if a.kind == servers.MySQL {
		a.exec(t, "GRANT XA_RECOVER_ADMIN ON *.* TO "+servers.CDCUser+"@'%'")
	}
	a.exec(t, "CREATE TABLE x (id INT PRIMARY KEY)")
	from := a.executed(t)
	conn, exec := a.session(t)
	for _, statement := range []string{"XA START 'p'", "INSERT INTO x VALUES (7)", "XA END 'p'", "XA PREPARE 'p'"} {
		exec(statement)
	}
	defer conn.Close()
	source := a.source(t, func(c *binlog.Config) { c.Addrs = []string{b.addr.HostPort()} })
	stream, err := source.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	slice, err := stream.Next(t.Context())
	if err != nil || slice.Prepared == nil {
		t.Fatalf("got %+v, %v, want an XA PREPARE", slice, err)
	}
	at, err := cdc.Advance(from, slice)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	a.exec(t, "FLUSH BINARY LOGS")
	exec("XA COMMIT 'p'")
	b.follow(t, a.executed(t))
	a.purge(t)
	if _, err := source.Servers()[0].Open(t.Context(), at); !errors.Is(err, cdc.ErrPositionLost) {
		t.Errorf("at the server that has purged it: got %v, want ErrPositionLost", err)
	}
	if stream, err = source.Open(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if slice, err = stream.Next(t.Context()); err != nil || len(slice.Changes) != 1 || string(slice.Changes[0].After) != `{"id":7}` {
		t.Errorf("got %+v, %v, want the row that was prepared", slice, err)
	}
}

// TestDomains: MariaDB's replication domains count on their own, and a position has one number of each.
func TestDomains(t *testing.T) {
	d := open(t, private(t, servers.MariaDB).Address(), "domains")
	d.SetMaxOpenConns(1)
	d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
	from := d.executed(t)
	for i := range 10 {
		d.exec(t, fmt.Sprintf("SET SESSION gtid_domain_id = %d", i%3))
		d.exec(t, "INSERT INTO a VALUES (?)", i)
	}
	until := d.executed(t)
	all := read(t, d.source(t), from, until)
	if len(all) != 10 {
		t.Fatalf("got %d transactions, want 10", len(all))
	}
	at := from
	for i, tx := range all {
		if got := read(t, d.source(t), at, until); len(got) != 10-i || got[0].id != tx.id {
			t.Fatalf("behind %s: got %d transactions", at.GTIDs, len(got))
		}
		at = add(t, at, tx.id)
	}
}

// TestUnknownHistory: a position with a uuid or a domain that the server has never seen is refused. The servers themselves accept it.
func TestUnknownHistory(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "unknown")
		at := d.executed(t)
		more := at.GTIDs + ",11111111-2222-3333-4444-555555555555:1"
		if kind == servers.MariaDB {
			more = at.GTIDs + ",77-1-1"
		}
		stream, err := d.source(t).Open(t.Context(), cdc.Position{Flavor: at.Flavor, GTIDs: more})
		if err == nil {
			stream.Close()
		}
		if !errors.Is(err, cdc.ErrSourceBehind) {
			t.Errorf("got %v, want ErrSourceBehind", err)
		}
	})
}
