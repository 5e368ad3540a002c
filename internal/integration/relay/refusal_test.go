// Package relay tests the whole capturing side: real databases, the relay, and a log in Kafka.
package relay

import (
	"database/sql"
	"errors"
	"net"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the operator's client
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// rig is a database of the test's own, whose settings may be spoiled, and a broker that shows what was written.
type rig struct {
	kind   servers.Kind
	addr   string
	admin  *sql.DB
	kafka  []string
	topics *kadm.Client
}

func newRig(t *testing.T, kind servers.Kind) *rig {
	t.Helper()
	server, err := servers.Start(t.Context(), kind, servers.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Attr("server", string(kind))
	admin, err := sql.Open("mysql", server.Address().DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r := &rig{kind: kind, addr: server.Address().HostPort(), admin: admin, kafka: cluster.ListenAddrs(), topics: kadm.NewClient(client)}
	r.exec(t, "CREATE DATABASE shop")
	r.exec(t, "CREATE TABLE shop.product (id BIGINT PRIMARY KEY, name VARCHAR(100))")
	r.exec(t, "INSERT INTO shop.product VALUES (1, 'tea')")
	return r
}

func (r *rig) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := r.admin.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// never refuses where a log would begin with a snapshot.
var never = cdc.SnapshotConfig{Mode: cdc.SnapshotNever}

// refused runs a relay that must stop with an error at once, and makes sure that nothing was written to Kafka.
func (r *rig) refused(t *testing.T, source binlog.Config, snapshots cdc.SnapshotConfig, brokers []string) error {
	t.Helper()
	s, err := binlog.New(source)
	if err != nil {
		t.Fatal(err)
	}
	log, err := kafkalog.New(kafkalog.Config{Brokers: brokers, Pipeline: "refused"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	relay, err := cdc.NewRelay(cdc.Config{Source: s, Log: log, Snapshot: snapshots})
	if err != nil {
		t.Fatal(err)
	}
	refusal := relay.Run(t.Context())
	if refusal == nil {
		t.Fatal("the relay stopped without an error")
	}
	t.Logf("%v", refusal)
	topics, err := r.topics.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, "refused.") {
			t.Errorf("topic %s was made before the refusal", name)
		}
	}
	for _, secret := range []string{servers.CDCPassword + "-wrong", "tea"} {
		if strings.Contains(refusal.Error(), secret) {
			t.Errorf("the error tells %q", secret)
		}
	}
	return refusal
}

func (r *rig) source() binlog.Config {
	return binlog.Config{Addr: r.addr, User: servers.CDCUser, Password: servers.CDCPassword, Filter: cdc.Filter{Include: []string{"shop.*"}}}
}

func TestRefusals(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) { testRefusals(t, newRig(t, kind)) })
	}
}

func testRefusals(t *testing.T, r *rig) {
	t.Run("Setting", func(t *testing.T) {
		r.exec(t, "SET GLOBAL binlog_format = 'MIXED'", "SET GLOBAL binlog_row_image = 'MINIMAL'")
		check, ok := errors.AsType[*cdc.CheckError](r.refused(t, r.source(), never, r.kafka))
		if !ok || len(check.Problems) != 2 {
			t.Fatalf("got %v, want a CheckError with two problems", check)
		}
		for _, p := range check.Problems { // the statement mends it; words for the operator may follow
			statement, _, _ := strings.Cut(p.Fix, ";")
			statement, _, _ = strings.Cut(statement, ", and ")
			r.exec(t, statement)
		}
	})
	t.Run("Grant", func(t *testing.T) {
		r.exec(t, "CREATE USER poor@'%' IDENTIFIED BY 'poor'")
		cfg := r.source()
		cfg.User, cfg.Password = "poor", "poor"
		if check, ok := errors.AsType[*cdc.CheckError](r.refused(t, cfg, never, r.kafka)); !ok || !strings.Contains(check.Error(), "GRANT") {
			t.Errorf("got %v, want a CheckError that says what to grant", check)
		}
	})
	t.Run("Password", func(t *testing.T) {
		cfg := r.source()
		cfg.Password += "-wrong"
		if err := r.refused(t, cfg, never, r.kafka); errors.Is(err, cdc.ErrUnavailable) {
			t.Error("a wrong password counts as something that may pass")
		}
	})
	t.Run("DatabaseUnreachable", func(t *testing.T) {
		cfg := r.source()
		cfg.Addr = closedPort(t)
		if err := r.refused(t, cfg, never, r.kafka); !errors.Is(err, cdc.ErrUnavailable) || !strings.Contains(err.Error(), cfg.Addr) {
			t.Errorf("the error does not say that %s cannot be reached", cfg.Addr)
		}
	})
	t.Run("BrokerUnreachable", func(t *testing.T) {
		addr := closedPort(t)
		if err := r.refused(t, r.source(), never, []string{addr}); !errors.Is(err, eventstore.ErrUnavailable) || !strings.Contains(err.Error(), addr) {
			t.Errorf("the error does not say that %s cannot be reached", addr)
		}
	})
	t.Run("TopicSettings", func(t *testing.T) {
		compact := "compact"
		if _, err := r.topics.CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &compact}, "foreign.watermark"); err != nil {
			t.Fatal(err)
		}
		s, err := binlog.New(r.source())
		if err != nil {
			t.Fatal(err)
		}
		log, err := kafkalog.New(kafkalog.Config{Brokers: r.kafka, Pipeline: "foreign"})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		relay, err := cdc.NewRelay(cdc.Config{Source: s, Log: log, Snapshot: never})
		if err != nil {
			t.Fatal(err)
		}
		err = relay.Run(t.Context())
		if wrong, ok := errors.AsType[*kafkalog.SettingsError](err); !ok || !strings.Contains(wrong.Error(), "cleanup.policy is compact, want delete") {
			t.Errorf("got %v, want a SettingsError that names cleanup.policy", err)
		}
		ends, err := r.topics.ListEndOffsets(t.Context(), "foreign.watermark")
		if err != nil {
			t.Fatal(err)
		}
		ends.Each(func(o kadm.ListedOffset) {
			if o.Offset != 0 {
				t.Errorf("something was written to %s before the refusal", o.Topic)
			}
		})
	})
	t.Run("Purged", func(t *testing.T) { // the last: the server is of no use for a first start afterwards
		r.exec(t, "FLUSH BINARY LOGS", "INSERT INTO shop.product VALUES (2, 'milk')", "FLUSH BINARY LOGS")
		var file string
		rows, err := r.admin.QueryContext(t.Context(), "SHOW BINARY LOGS")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.RawBytes)
			}
			values[0] = &file
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		r.exec(t, "PURGE BINARY LOGS TO '"+file+"'")
		if err := r.refused(t, r.source(), never, r.kafka); !errors.Is(err, cdc.ErrPositionLost) {
			t.Error("the error is not ErrPositionLost")
		}
	})
}

// closedPort returns an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
