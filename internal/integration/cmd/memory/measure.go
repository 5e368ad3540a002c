package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// messageBytes is room for a record with two images of a huge row in base64.
func (s settings) messageBytes() int { return max(32, 3*s.rowMiB) << 20 }

// broker starts a broker that takes such records.
func (s settings) broker(ctx context.Context, logf func(string, ...any)) (*servers.Server, error) {
	n := s.messageBytes()
	return servers.Start(ctx, servers.Kafka, servers.Options{Logf: logf, Heap: "2g", Args: []string{
		fmt.Sprintf("message.max.bytes=%d", n),
		fmt.Sprintf("replica.fetch.max.bytes=%d", n),
		fmt.Sprintf("socket.request.max.bytes=%d", n+1<<20),
	}})
}

// startDatabase starts a server that lets a huge row pass.
func startDatabase(ctx context.Context, kind servers.Kind, logf func(string, ...any)) (*servers.Server, error) {
	args := []string{"--max-allowed-packet=1G", "--innodb-buffer-pool-size=512M"}
	if kind == servers.MySQL {
		args = append(args, "--innodb-redo-log-capacity=2G")
	} else {
		args = append(args, "--innodb-log-file-size=2G")
	}
	return servers.Start(ctx, kind, servers.Options{Logf: logf, Args: args})
}

// measure runs every case on one database.
func (s settings) measure(ctx context.Context, kind servers.Kind, broker *servers.Server, logf func(string, ...any), peaks *summary) (err error) {
	server, err := startDatabase(ctx, kind, logf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	pool, err := sql.Open("mysql", server.Address().DSN(""))
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	d := &database{Conn: conn, kind: kind, rows: s.rows}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	m := measurement{settings: s, database: d, job: job{DB: server.Address().HostPort(), Kafka: broker.Address().HostPort(), MessageBytes: s.messageBytes()}}
	fmt.Printf("%s, cdc.Config.MaxBytes = %d, records up to %d MiB\n", server.Version(), maxBytes, s.messageBytes()>>20)
	if s.rows > 0 {
		if err := m.small(ctx, &peaks.rows); err != nil {
			return err
		}
	}
	if s.updates > 0 {
		if err := m.huge(ctx, &peaks.updates); err != nil {
			return err
		}
	}
	if s.payload > 0 && kind == servers.MySQL {
		return m.compressed(ctx, peaks)
	}
	return nil
}

// measurement is the measuring of one database.
type measurement struct {
	settings
	*database
	job   job
	cases int
}

func (m *measurement) small(ctx context.Context, highest *uint64) error {
	for _, compress := range []bool{false, true} {
		if err := m.compress(ctx, compress); err != nil {
			return err
		}
		want, err := m.database.small(ctx)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("one transaction of %s rows%s", count(m.settings.rows), map[bool]string{true: ", compressed"}[compress])
		if err := m.relay(ctx, name, "item", "", want, highest); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return errors.Join(m.compress(ctx, false), m.exec(ctx, "DROP TABLE memory.item"))
}

func (m *measurement) huge(ctx context.Context, highest *uint64) error {
	columns := []string{"LONGTEXT", "LONGBLOB"}
	if m.kind == servers.MariaDB {
		columns = append(columns, "LONGBLOB COMPRESSED")
	}
	for _, column := range columns {
		for _, together := range []bool{true, false} {
			want, err := m.database.huge(ctx, column, m.rowMiB, m.updates, together, false)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%d updates of a %s of %d MiB in %s", m.updates, column, m.rowMiB, map[bool]string{true: "one transaction", false: "as many transactions"}[together])
			if err := m.relay(ctx, name, "doc", column, want, highest); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (m *measurement) compressed(ctx context.Context, peaks *summary) error {
	if err := m.compress(ctx, true); err != nil {
		return err
	}
	want, err := m.database.huge(ctx, "LONGBLOB", m.rowMiB, m.settings.payload, true, true)
	if err != nil {
		return err
	}
	size, err := m.database.payload(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d updates and an insert of a LONGBLOB of %d MiB in one compressed transaction of %d bytes", m.settings.payload, m.rowMiB, size)
	if whole := uint64((m.settings.payload*2+1)*m.rowMiB) << 20; size < whole*9/10 {
		return fmt.Errorf("%s: MySQL did not compress it, or it shrank: its rows have %d bytes", name, whole)
	}
	peaks.payloadBytes = max(peaks.payloadBytes, size)
	if err := m.relay(ctx, name, "doc", "LONGBLOB", want, &peaks.payload); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// relay runs a relay on what the database has done, checks the log, and keeps the highest peak.
func (m *measurement) relay(ctx context.Context, name, table, column string, want content, highest *uint64) error {
	m.cases++
	m.job.Pipeline = fmt.Sprintf("memory-%s-%d", m.kind, m.cases)
	m.job.CSN = eventstore.CSN(want.transactions)
	took, err := m.job.spawn(ctx)
	if err != nil {
		return err
	}
	got, err := m.job.read(ctx, table, column)
	if err != nil {
		return err
	}
	fmt.Printf("  %-110s peak %4d MB resident, %4d MB Go heap, %5.1f s\n", name, took.Peak/mb, took.Heap/mb, took.Seconds)
	if got.transactions = want.transactions; got != want {
		return fmt.Errorf("the log differs from the server: got %+v, want %+v", got, want)
	}
	*highest = max(*highest, took.Peak)
	return nil
}
