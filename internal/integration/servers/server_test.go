package servers

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/millrace-go/millrace/internal/integration/elasticapi"
)

// A client uses a server as a user would: it writes one value, and reads it back, perhaps after the server was killed.
type client struct {
	write, read func(ctx context.Context, a Address) error
}

var clients = map[Kind]client{
	MariaDB:       {writeSQL, readSQL},
	MySQL:         {writeSQL, readSQL},
	Kafka:         {writeKafka, readKafka},
	Elasticsearch: {writeElastic, readElastic},
	MongoDB:       {writeMongo, readMongo},
}

// TestServerLife takes each kind through its life: start, use, pause, SIGKILL, restart on the same data, shutdown, close.
func TestServerLife(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			ctx, c := t.Context(), clients[kind]
			s, err := Start(ctx, kind, Options{Logf: t.Logf})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("folder after Close: %v", err)
				}
			})
			t.Logf("%s at %v, process %d", s.Version(), s.Address(), s.PID())
			if err := c.write(ctx, s.Address()); err != nil {
				t.Fatal("write:", err)
			}

			if err := s.Pause(); err != nil {
				t.Fatal("pause:", err)
			}
			if st, err := readStat(s.PID()); err != nil || st.state != 'T' {
				t.Errorf("paused process: state %c, %v", st.state, err)
			}
			if err := s.Continue(); err != nil {
				t.Fatal("continue:", err)
			}
			if err := c.read(ctx, s.Address()); err != nil {
				t.Fatal("read after a pause:", err)
			}

			first, port := s.PID(), s.Port()
			if err := s.Kill(); err != nil {
				t.Fatal("kill:", err)
			}
			<-s.Ended()
			if !portFree(port) {
				t.Errorf("port %d is in use after Kill", port)
			}
			if err := s.Restart(ctx); err != nil {
				t.Fatal("restart after a kill:", err)
			}
			if s.PID() == first || s.Port() != port {
				t.Errorf("restarted as process %d on port %d, was process %d on port %d", s.PID(), s.Port(), first, port)
			}
			if err := c.read(ctx, s.Address()); err != nil {
				t.Fatal("read after a kill:", err)
			}

			if err := s.Stop(ctx); err != nil {
				t.Fatal("stop:", err)
			}
			if err := s.Stop(ctx); err != nil {
				t.Fatal("stop again:", err)
			}
			if !portFree(port) {
				t.Errorf("port %d is in use after Stop", port)
			}
		})
	}
}

// TestSQLSettings checks what the tests of change data capture rely on.
func TestSQLSettings(t *testing.T) {
	for _, kind := range []Kind{MariaDB, MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			s, err := Start(t.Context(), kind, Options{Logf: t.Logf, Args: []string{"--binlog-row-image=MINIMAL"}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			db, err := sql.Open("mysql", s.Address().CDC(""))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			want := map[string]string{"log_bin": "1", "binlog_format": "ROW", "binlog_row_metadata": "FULL", "sync_binlog": "1",
				"innodb_flush_log_at_trx_commit": "1", "binlog_row_image": "MINIMAL"} // the argument given last holds
			if kind == MySQL {
				want["gtid_mode"] = "ON"
			} else {
				want["gtid_strict_mode"] = "1"
			}
			for name, want := range want {
				var got string
				if err := db.QueryRowContext(t.Context(), "SELECT @@global."+name).Scan(&got); err != nil || got != want {
					t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
				}
			}
			if _, err := db.ExecContext(t.Context(), "CREATE DATABASE forbidden"); err == nil {
				t.Errorf("the user %s may create a database", CDCUser)
			}
			out, err := output(t.Context(), "/", s.BinlogTool(), "--no-defaults", "--read-from-remote-server", "--host=127.0.0.1",
				fmt.Sprintf("--port=%d", s.Port()), "--user=root", "binlog.000001")
			if err != nil || !strings.Contains(out, "End of log file") {
				t.Errorf("%s: %v", s.BinlogTool(), err)
			}
		})
	}
}

// TestStartFails checks the errors of a start: a taken port by name, a server that refuses its arguments with its log's last lines.
func TestStartFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), MariaDB, Options{Port: port})
	taken, ok := errors.AsType[*PortTakenError](err)
	if !ok || taken.Port != port || taken.Kind != MariaDB {
		t.Errorf("taken port: got %v", err)
	}

	_, err = Start(t.Context(), MariaDB, Options{Args: []string{"--no-such-argument"}})
	if err == nil || !strings.Contains(err.Error(), "server.log") || !strings.Contains(err.Error(), "no-such-argument") {
		t.Errorf("wrong argument: got %v", err)
	}

	_, err = Start(t.Context(), MariaDB, Options{Ready: time.Nanosecond})
	if err == nil || !strings.Contains(err.Error(), "not ready within 1ns") {
		t.Errorf("too little time: got %v", err)
	}
}

func writeSQL(ctx context.Context, a Address) error {
	db, err := sql.Open("mysql", a.DSN(""))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range []string{"CREATE DATABASE life", "CREATE TABLE life.value (v VARCHAR(10) PRIMARY KEY)", "INSERT INTO life.value VALUES ('kept')"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func readSQL(ctx context.Context, a Address) error {
	db, err := sql.Open("mysql", a.CDC("life"))
	if err != nil {
		return err
	}
	defer db.Close()
	var v string
	return errors.Join(db.QueryRowContext(ctx, "SELECT v FROM value").Scan(&v), equal(v))
}

func writeKafka(ctx context.Context, a Address) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(a.Value))
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, "life"); err != nil {
		return err
	}
	return client.ProduceSync(ctx, &kgo.Record{Topic: "life", Value: []byte("kept")}).FirstErr()
}

func readKafka(ctx context.Context, a Address) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(a.Value), kgo.ConsumeTopics("life"))
	if err != nil {
		return err
	}
	defer client.Close()
	fetches := client.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		return err
	}
	return equal(string(fetches.Records()[0].Value))
}

func writeElastic(ctx context.Context, a Address) error {
	return elasticapi.Client{URL: a.Value}.Call(ctx, http.MethodPut, "/life/_doc/1", `{"v":"kept"}`, nil)
}

func readElastic(ctx context.Context, a Address) error {
	var got json.RawMessage
	if err := (elasticapi.Client{URL: a.Value}).Call(ctx, http.MethodGet, "/life/_source/1", "", &got); err != nil {
		return err
	}
	if string(got) != `{"v":"kept"}` {
		return fmt.Errorf("read back %s", got)
	}
	return nil
}

func writeMongo(ctx context.Context, a Address) error {
	return withMongo(ctx, a.Value, func(admin *mongo.Database) error {
		_, err := admin.Client().Database("life").Collection("value").InsertOne(ctx, bson.M{"v": "kept"})
		return err
	})
}

func readMongo(ctx context.Context, a Address) error {
	return withMongo(ctx, a.Value, func(admin *mongo.Database) error {
		var d struct{ V string }
		err := admin.Client().Database("life").Collection("value").FindOne(ctx, bson.M{}, options.FindOne()).Decode(&d)
		return errors.Join(err, equal(d.V))
	})
}

func equal(got string) error {
	if got != "kept" {
		return fmt.Errorf("read back %q", got)
	}
	return nil
}
