package projector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// Query keeps documents that the user's own SQL makes: a changed row says which documents it concerns, those are collected over a window,
// and a loader reads them in one consistent snapshot of the database, taken when the database has executed everything that was
// read of the log.
//
// A document written from the cut at CSN n is at least as new as n and one state of the database. It holds no state of its own,
// so a restart goes on from the recorded progress.
//
// # Which documents a row concerns
//
// Every table whose rows a document shows, or that lies on the way from such a row to the document, is one of Tables. Each
// function is given both images of a changed row and returns what the row points at: for a row that holds the document's id, that id
// ([OnTable]); for one further away, the key of its parent, from which a [Resolver] finds the documents ([OnTableVia]). A row that moves
// from one parent to another concerns both, because both images are asked; so does everything below it, without being asked. For a
// tree catalog, category, product, stock:
//
//	OnTable("shop.catalog", func(c *Catalog) []string { return []string{c.ID} })
//	OnTable("shop.category", func(c *Category) []string { return []string{c.CatalogID} })
//	OnTableVia("shop.product", func(p *Product) []string { return []string{p.CategoryID} }, catalogsOfCategories)
//	OnTableVia("shop.stock", func(s *Stock) []string { return []string{s.ProductID} }, catalogsOfProducts)
//
// docs/decisions/0003-query-targets.md shows why nothing is missed.
type Query struct {
	// Name identifies the projector and its progress in the sink. It must not change.
	Name string
	// Version is that of the definition, from 1. Raise it with every change that makes other documents: they are then built anew
	// beside the old ones, and readers switch when they are complete.
	Version int
	// Target is where the documents are kept.
	Target Target
	// Database is where the loader reads: [MySQL], [MariaDB].
	Database Database
	// Tables say which documents a changed row concerns.
	Tables []QueryTable
	// Load makes documents.
	Load Loader
	// LoadDocuments is the largest number of ids in a call of Load. Default 500.
	LoadDocuments int
	// LoadsPerSecond bounds how often a second the database is asked, each time for one call of Load, or of the Resolvers, in a snapshot of its own. What
	// has to wait is collected: while the limit holds back, documents are later, and each is loaded once for all its changes. 0 is no limit.
	LoadsPerSecond float64
}

// Loader makes the documents of ids from what tx shows, all in one consistent snapshot. Values are marshalled by encoding/json (a
// [encoding/json.RawMessage] is taken as it is) and must give JSON objects. An id that is missing in the result, or nil, has no document: a stored
// one is deleted. tx must not be kept, committed or rolled back.
//
// An error of the database that may pass, or one that wraps [ErrUnavailable], is retried for ever; any other error, or a panic, halts the projector.
type Loader func(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error)

// Resolver finds the ids of the documents that keys lead to now, in the snapshot of tx. A key that leads nowhere is left out. It is
// called with at most 1,000 distinct keys. Errors are as with [Loader].
type Resolver func(ctx context.Context, tx *sql.Tx, keys []string) (ids []string, err error)

// QueryTable is a table, or a topic of events, that a [Query] follows, made by [OnTable], [OnTableVia] or [OnTopic].
type QueryTable struct {
	table   table
	keys    func(row *eventstore.RowChange) ([]string, error)
	resolve Resolver // nil: the keys are the ids
	topic   string
	events  func(rec *eventstore.Record) ([]string, error) // ids
	err     error
}

// OnTable follows a table, named schema.table as in the database, whose rows hold the ids of the documents they concern. Rows are
// decoded by encoding/json into T; see docs/types.md for how values look. ids is called with each image of a changed row. It must depend
// on nothing but the row.
func OnTable[T any](tableName string, ids func(row *T) []string) QueryTable {
	return queryTable(tableName, ids)
}

// OnTableVia follows a table whose rows hold keys that lead to the documents they concern: see [Query]. Every table on the
// way must be followed, too.
func OnTableVia[T any](tableName string, keys func(row *T) []string, resolve Resolver) QueryTable {
	t := queryTable(tableName, keys)
	if t.resolve = resolve; t.err == nil && resolve == nil {
		t.err = errors.New("table " + tableName + ": resolver is nil")
	}
	return t
}

func queryTable[T any](name string, ids func(row *T) []string) QueryTable {
	t, err := parseTable(name)
	if err == nil && ids == nil {
		err = errors.New("table " + name + ": function is nil")
	}
	return QueryTable{table: t, err: err, keys: func(row *eventstore.RowChange) ([]string, error) {
		before, after, err := images[T](row)
		if err != nil {
			return nil, err
		}
		if !safeguard.BothImages && after != nil {
			before = nil
		}
		old, err := callIDs(ids, before)
		if err != nil {
			return nil, err
		}
		now, err := callIDs(ids, after)
		return append(old, now...), err
	}}
}

func (q Query) definition() definition {
	d := definition{name: q.Name, version: q.Version, target: q.Target}
	bad := func(text string) { d.problems = append(d.problems, errors.New(text)) }
	if q.Database == nil {
		bad("Database is missing")
	}
	if q.Load == nil {
		bad("Load is missing")
	}
	if q.LoadDocuments < 0 {
		bad("LoadDocuments is negative, want a positive number, or 0 for the default")
	}
	if !(q.LoadsPerSecond >= 0) {
		bad(fmt.Sprintf("LoadsPerSecond is %v, want a positive number, or 0 for no limit", q.LoadsPerSecond))
	}
	if len(q.Tables) == 0 {
		bad("Tables is empty")
	}
	for _, t := range q.Tables {
		switch {
		case t.err != nil:
			d.problems = append(d.problems, t.err)
		case t.events != nil:
			d.events = append(d.events, t.topic)
		case t.keys == nil:
			bad("a table was not made by OnTable, OnTableVia or OnTopic")
		default:
			d.tables = append(d.tables, t.table)
		}
	}
	return d
}

func (q Query) check(ctx context.Context) error { return q.Database.Check(ctx) }

func (q Query) start(_ context.Context, l *loop, progress eventstore.CSN) (engine, error) { //nolint:unparam // the error is a Join's
	if q.LoadDocuments == 0 {
		q.LoadDocuments = 500
	}
	return &queryEngine{loop: l, query: q, progress: progress, seen: map[table]bool{}, ids: newKeySet(), via: make([]keySet, len(q.Tables))}, nil
}
