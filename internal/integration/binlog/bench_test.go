package binlog

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/gtid"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// BenchmarkRead reads one backlog from a private server, again and again, with this source and with go-mysql's BinlogSyncer, which
// decodes it to []any. It reports rows a second and this process's CPU time a row.
//
//	go test -run '^$' -bench Read -benchtime 3x ./binlog
func BenchmarkRead(b *testing.B) {
	for _, kind := range kinds {
		for _, mode := range []struct {
			name             string
			transactions     int
			rows             int
			compress, update bool
		}{
			{name: "1000 rows a transaction", transactions: 100, rows: 1000},
			{name: "updates", transactions: 100, rows: 1000, update: true},
			{name: "1 row a transaction", transactions: 20000, rows: 1},
			{name: "compressed, 1000 rows", transactions: 100, rows: 1000, compress: true},
			{name: "compressed, 1 row", transactions: 20000, rows: 1, compress: true},
		} {
			if mode.compress && kind == servers.MariaDB {
				continue
			}
			b.Run(string(kind)+"/"+mode.name, func(b *testing.B) {
				addr := benchServer(b, kind)
				db := &database{DB: connect(b, addr.DSN("")), kind: kind, addr: addr, schema: "bench"}
				from, until := benchBacklog(b, db, mode.transactions, mode.rows, mode.compress, mode.update)
				rows := mode.transactions * mode.rows
				b.Run("millrace", func(b *testing.B) {
					measure(b, rows, func() int { return benchSource(b, db, from, until) })
				})
				b.Run("go-mysql", func(b *testing.B) {
					measure(b, rows, func() int { return benchSyncer(b, addr, from, until) })
				})
			})
		}
	}
}

func measure(b *testing.B, rows int, run func() int) {
	b.ReportAllocs()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ResetTimer()
	for b.Loop() {
		if got := run(); got != rows {
			b.Fatalf("read %d rows, want %d", got, rows)
		}
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	total := float64(rows * b.N)
	b.ReportMetric(total/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(cpu.Microseconds())/total, "cpu-µs/row")
	b.ReportMetric(0, "ns/op")
}

func benchServer(b *testing.B, kind servers.Kind) servers.Address {
	if own[kind] == nil {
		s, err := servers.Start(context.Background(), kind, servers.Options{Args: []string{"--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0"}})
		if err != nil {
			b.Fatal(err)
		}
		own[kind] = s
	}
	return own[kind].Address()
}

// benchBacklog writes the rows and returns the positions around them.
func benchBacklog(b *testing.B, d *database, transactions, rows int, compress, update bool) (from, until cdc.Position) {
	conn, err := d.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	exec := func(statement string) {
		b.Helper()
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
	}
	exec("DROP DATABASE IF EXISTS bench")
	exec("CREATE DATABASE bench CHARACTER SET utf8mb4")
	exec("USE bench")
	exec("CREATE TABLE num (n INT PRIMARY KEY)")
	exec("INSERT INTO num WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 999) SELECT n FROM c")
	exec("CREATE TABLE item (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(64) NOT NULL, price DECIMAL(12,2) NOT NULL, qty INT NOT NULL, " +
		"js JSON NOT NULL, ts DATETIME(6) NOT NULL, body VARCHAR(200) NOT NULL)")
	insert := "INSERT INTO item SELECT %[1]d + n, CONCAT('item number ', %[1]d + n), (%[1]d + n) %% 1000000 / 7, n %% 5000, JSON_OBJECT('sku', CONCAT('S', n), " +
		"'w', n, 'tags', JSON_ARRAY('red', 'xl'), 'ok', n %% 2), NOW(6), LEFT(CONCAT(SHA2(n, 256), SHA2(n + 7, 256)), 120) FROM num WHERE n < %[2]d"
	if update {
		for i := range transactions {
			exec(fmt.Sprintf(insert, i*rows, rows))
		}
	}
	if compress {
		exec("SET SESSION binlog_transaction_compression = 1")
	}
	position := func() cdc.Position {
		p, err := d.source(b).Executed(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	from = position()
	for i := range transactions {
		if update {
			exec(fmt.Sprintf("UPDATE item SET qty = qty + 1, price = price + 1.5 WHERE id >= %d AND id < %d", i*rows, (i+1)*rows))
		} else {
			exec(fmt.Sprintf(insert, i*rows, rows))
		}
	}
	return from, position()
}

func benchSource(b *testing.B, d *database, from, until cdc.Position) (rows int) {
	stream, err := d.source(b).Open(context.Background(), from)
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	set, _ := gtid.Parse(from.Flavor, from.GTIDs)
	want, _ := gtid.Parse(from.Flavor, until.GTIDs)
	for !set.Contains(want) {
		slice, err := stream.Next(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		rows += len(slice.Changes)
		if slice.Last {
			_ = set.Add(slice.ID)
		}
	}
	return rows
}

// benchSyncer is the obvious program: events decoded by go-mysql, nothing done with them.
func benchSyncer(b *testing.B, addr servers.Address, from, until cdc.Position) (rows int) {
	host, port, _ := net.SplitHostPort(addr.HostPort())
	n, _ := strconv.Atoi(port)
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{ServerID: 77, Flavor: from.Flavor, Host: host, Port: uint16(n),
		User: servers.CDCUser, Password: servers.CDCPassword, Logger: slog.New(slog.DiscardHandler), RenderJSONAsMySQLText: true})
	defer syncer.Close()
	set, err := mysql.ParseGTIDSet(from.Flavor, from.GTIDs)
	if err != nil {
		b.Fatal(err)
	}
	streamer, err := syncer.StartSyncGTID(set)
	if err != nil {
		b.Fatal(err)
	}
	have, _ := gtid.Parse(from.Flavor, from.GTIDs)
	want, _ := gtid.Parse(from.Flavor, until.GTIDs)
	id := ""
	for !have.Contains(want) {
		e, err := streamer.GetEvent(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		events := []*replication.BinlogEvent{e}
		if p, ok := e.Event.(*replication.TransactionPayloadEvent); ok {
			events = p.Events
		}
		for _, e := range events {
			switch ev := e.Event.(type) {
			case *replication.RowsEvent:
				n := len(ev.Rows)
				if len(ev.ColumnBitmap2) > 0 {
					n /= 2
				}
				rows += n
			case *replication.GTIDEvent:
				next, _ := ev.GTIDNext()
				id = next.String()
			case *replication.MariadbGTIDEvent:
				id = ev.GTID.String()
			case *replication.XIDEvent:
				_ = have.Add(id)
			}
		}
	}
	return rows
}
