// Command quickstart keeps a search index of a shop's products: each committed change of the table shop.product is a document a moment
// later. It needs a database, a Kafka broker and Elasticsearch; `make services` in the repository starts all three.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/examples/snapshotbar"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
)

// Product is a row of shop.product and a document of the index.
type Product struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Price string `json:"price"` // DECIMAL columns are exact: text, not floats
}

var products = projector.Fold[Product]{
	Name: "products", Version: 1, Target: elastic.Index("products"),
	Sources: []projector.Source[Product]{
		projector.OnRow("shop.product",
			func(p *Product) []string { return []string{strconv.FormatInt(p.ID, 10)} },
			func(d *projector.Doc[Product], _, now *Product) error {
				if now == nil {
					d.Delete()
					return nil
				}
				d.Data = *now
				return nil
			}),
	},
}

func run(ctx context.Context, database, user, password, broker, search string) error {
	source, err1 := binlog.New(binlog.Config{Addr: database, User: user, Password: password, Filter: cdc.Filter{Include: []string{"shop.*"}}})
	events, err2 := kafkalog.New(kafkalog.Config{Brokers: []string{broker}, Pipeline: "shop"})
	sink, err3 := elastic.New(elastic.Config{Addresses: []string{search}})
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	bar := snapshotbar.New(os.Stderr) // of the rows that are there already, if the binlog does not have them
	relay, err1 := cdc.NewRelay(cdc.Config{Source: source, Log: events, Hooks: cdc.Hooks{Snapshot: bar.Show}})
	runner, err2 := projector.NewRunner(projector.Config{Log: events, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{products}})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return relay.Run(ctx) })  // the database's commits into Kafka
	both.Go(func() error { return runner.Run(ctx) }) // Kafka into documents
	return both.Wait()
}

func main() {
	database := flag.String("database", "127.0.0.1:3306", "MySQL or MariaDB, host:port")
	user := flag.String("user", "cdc", "its user; the password is taken from MILLRACE_PASSWORD")
	broker := flag.String("kafka", "127.0.0.1:9092", "Kafka broker, host:port")
	search := flag.String("elasticsearch", "http://127.0.0.1:9200", "Elasticsearch, URL")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *database, *user, os.Getenv("MILLRACE_PASSWORD"), *broker, *search); err != nil {
		log.Fatal(err)
	}
}
