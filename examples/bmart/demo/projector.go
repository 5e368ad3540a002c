package demo

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/examples/bmart/home"
	"github.com/millrace-go/millrace/examples/bmart/product"
	"github.com/millrace-go/millrace/examples/bmart/schema"
	"github.com/millrace-go/millrace/projector"
)

// window is how long changes are collected before their documents are written: the page shows them while one looks.
const window = 50 * time.Millisecond

// runProjector is the projector process.
func runProjector(ctx context.Context, t task, out *reporter, logger *slog.Logger) error {
	db, err := openDatabase(t.Addr, t.User, t.Password)
	if err != nil {
		return err
	}
	defer db.Close()
	log, err := openLog(t.Brokers, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	sink, err := t.Sink.open(logger)
	if err != nil {
		return err
	}
	defer sink.close()
	database := projector.MariaDB(db)
	if t.Flavor == "mysql" {
		database = projector.MySQL(db)
	}
	runner, err := projector.NewRunner(projector.Config{
		Log:   log,
		Sinks: []projector.Sink{&tellingSink{Sink: breakSink(sink.Sink, t.Break), out: out}},
		Projectors: []projector.Projector{
			home.Projector(database, t.Sink.target(home.Name)),
			product.Projector(t.Sink.target(product.Name)),
		},
		Window: window,
		Logger: logger,
		Hooks: projector.Hooks{
			OnWindow: func(i projector.WindowInfo) {
				out.send(report{Event: eventWindow, Kind: i.Projector, CSN: i.CSN, Records: i.Documents})
			},
			OnRetry: func(i projector.RetryInfo) {
				out.send(report{Event: eventRetry, Kind: i.Projector, Text: i.Step + ": " + i.Err.Error()})
			},
		},
	})
	if err != nil {
		return err
	}
	return runner.Run(ctx)
}

const idleConnections = 8

// openDatabase opens the shop's database as one of its accounts.
func openDatabase(addr, user, password string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", addr, user, password, schema.Database
	c.InterpolateParams = true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(idleConnections)
	return db, nil
}

// tellingSink reports which documents its sink has acknowledged, and when.
type tellingSink struct {
	projector.Sink
	out *reporter
}

func (s *tellingSink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	if err := s.Sink.Apply(ctx, t, generation, writes, results); err != nil {
		return err
	}
	m := report{Event: eventWritten, At: time.Now(), Kind: t.Name}
	for i, w := range writes {
		if r := results[i].Outcome; r == projector.Applied || r == projector.Stale {
			m.Written = append(m.Written, written{w.ID, w.Version.CSN()})
		}
	}
	s.out.send(m)
	return nil
}
