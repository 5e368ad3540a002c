package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// List is how long the list of very many tables takes.
type List struct {
	Tables int
	Listed int           // of the tables that were made
	Took   time.Duration // the first list of a source, behind a restart of the server
	Again  time.Duration // the next one
}

// String is the figures in one line.
func (l *List) String() string {
	return fmt.Sprintf("tables %d listed %d in %.1f s, again in %.1f s", l.Tables, l.Listed, l.Took.Seconds(), l.Again.Seconds())
}

// maxList is how long a list may take.
const maxList = 30 * time.Second

// RunList makes n tables in schemas of a thousand and lists them, on a server that has just been started.
func RunList(ctx context.Context, cfg Config, n int) (_ *List, err error) {
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, fmt.Errorf("snapshot config: %w", err)
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(cfg.Out, "%-7s %s\n", cfg.Kind, fmt.Sprintf(format, args...))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Deadline, fmt.Errorf("not done within %v", cfg.Deadline))
	defer cancel()
	db, err := startDatabase(ctx, &cfg, say)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	const each = 1000
	var want []string
	makers, making := errgroup.WithContext(ctx)
	makers.SetLimit(4)
	for first := 0; first < n; first += each {
		schema := fmt.Sprintf("many%05d", first/each)
		for i := range min(each, n-first) {
			want = append(want, fmt.Sprintf("%s.t%03d", schema, i))
		}
		makers.Go(func() error {
			if err := db.exec(making, "CREATE DATABASE "+schema); err != nil {
				return err
			}
			for i := range min(each, n-first) {
				if err := db.exec(making, fmt.Sprintf("CREATE TABLE %s.t%03d (id INT PRIMARY KEY, v VARCHAR(100))", schema, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := makers.Wait(); err != nil {
		return nil, err
	}
	say("made: %d tables", n)
	if err := db.server.Restart(ctx); err != nil { // so that nothing is in its caches
		return nil, err
	}
	source, err := binlog.New(binlog.Config{Addr: db.addr(), User: servers.CDCUser, Password: servers.CDCPassword, Filter: cdc.Filter{Include: []string{"many*.*"}}})
	if err != nil {
		return nil, err
	}
	l := &List{Tables: n}
	for _, took := range []*time.Duration{&l.Took, &l.Again} {
		began := time.Now()
		tables, err := source.Tables(ctx)
		if err != nil {
			return l, err
		}
		*took = time.Since(began)
		got := make([]string, len(tables))
		for i, t := range tables {
			got[i] = t.String()
		}
		if l.Listed = len(got); !slices.Equal(got, want) {
			return l, fmt.Errorf("%s: the list of %d tables is not that of the %d that were made", cfg.Kind, len(got), n)
		}
	}
	if l.Took > maxList {
		return l, fmt.Errorf("%s: the list of %d tables took %v, it may take %v", cfg.Kind, n, l.Took, maxList)
	}
	return l, nil
}
