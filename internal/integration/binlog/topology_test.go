package binlog

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/millrace-go/millrace/cdc"
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
			b.exec(t, fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='replica', MASTER_PASSWORD='secret', MASTER_USE_GTID=slave_pos", host, port))
			b.exec(t, "START SLAVE")
		} else {
			b.exec(t, fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%s, SOURCE_USER='replica', SOURCE_PASSWORD='secret', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1", host, port))
			b.exec(t, "START REPLICA")
		}
		a.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(10))")
		from := a.executed(t)
		for i := range 10 {
			a.exec(t, "INSERT INTO a VALUES (?, 'x')", i)
		}
		until := a.executed(t)
		want := read(t, a.source(t), from, until)
		wait := "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)"
		if kind == servers.MariaDB {
			wait = "SELECT MASTER_GTID_WAIT(?, 60)"
		}
		if got := b.value(t, wait, until.GTIDs); got != "0" {
			t.Fatalf("the replica does not follow: %s", got)
		}
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
