package projector

import (
	"context"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// Projector is the definition of a read model: a [Query], a [Fold] or a [Join]. It is a value without state; a [Runner] runs it.
type Projector interface {
	definition() definition
	// check verifies what the definition needs besides log and sink, before anything is written.
	check(ctx context.Context) error
	// start returns a fresh engine; documents up to progress are written already.
	start(ctx context.Context, l *loop, progress eventstore.CSN) (engine, error)
}

// TargetOf returns where a projector keeps its documents.
func TargetOf(p Projector) Target { return p.definition().target }

// definition is what all kinds have in common.
type definition struct {
	name     string
	version  int
	target   Target
	tables   []table
	events   []string // topics of events
	problems []error  // of the kind's own fields
}

// topics returns the distinct topics that may have rows of the definition's tables, those of its events, and the schema topic, sorted.
func (d definition) topics(routes eventstore.Routes) []string {
	topics := append([]string{eventstore.SchemaTopic}, d.events...)
	for _, t := range d.tables {
		topics = append(topics, routes.Topics(t.schema, t.name)...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// engine is a projector at work: it turns records into pending documents, and those into writes. It is called from one goroutine.
type engine interface {
	// after is where the engine's reading begins.
	after() eventstore.CSN
	// change takes one row of one of the definition's tables, in the log's order.
	change(row *eventstore.RowChange) error
	// truncate takes the end of all rows of one of the definition's tables; op says by what: see [loop.truncated].
	truncate(op eventstore.SchemaOp, row *eventstore.RowChange) error
	// pending is the number of documents, or of what leads to them, that wait to be written.
	pending() int
	// flush writes what is pending, up to a transaction's end. What may pass it repeats itself, for ever; its error is final, or ctx's.
	flush(ctx context.Context, at point, w *writer) error
	// spreading is the number of documents that wait to be written between the windows. While it is not 0 flush is called again and again.
	spreading() int
	// oldestPending is the csn of the first change that flush has left out of the sink; 0 when there is none.
	oldestPending() eventstore.CSN
	// standing is the number of documents that are parked, the first change that they lack, and why the last of them is. Progress in the sink stays below
	// that change.
	standing() (parked int, since eventstore.CSN, why error)
	// settle makes durable what was read, all transactions up to csn.
	settle(csn eventstore.CSN) error
	// close ends the engine.
	close() error
}

// stateless is what an engine has in common with others that keep nothing besides the documents.
type stateless struct{}

func (stateless) spreading() int                         { return 0 }
func (stateless) oldestPending() eventstore.CSN          { return 0 }
func (stateless) standing() (int, eventstore.CSN, error) { return 0, 0, nil }
func (stateless) settle(eventstore.CSN) error            { return nil }
func (stateless) close() error                           { return nil }

// point is a transaction's end in the log that everything before it was read of.
type point struct {
	csn eventstore.CSN
	// executed covers csn: a database that has executed it shows at least everything up to csn.
	executed eventstore.Position
	// waited says that somebody waits for its documents.
	waited bool
}
