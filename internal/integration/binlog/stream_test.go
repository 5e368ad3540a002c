package binlog

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/gtid"
)

// transaction is a copy of one.
type transaction struct {
	id      string
	slices  int
	whole   bool
	time    time.Time
	changes []cdc.Change

	prepared  *eventstore.Prepare // of an XA PREPARE
	completed string              // id of an XA COMMIT or XA ROLLBACK
}

// read returns the transactions after from up to and with until, on the way through a stream of its own.
func read(t *testing.T, source cdc.Source, from, until cdc.Position) []transaction {
	t.Helper()
	stream, err := source.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	txs, err := readStream(t.Context(), stream, from, until)
	if err != nil {
		t.Fatalf("after %d transactions: %v", len(txs), err)
	}
	return txs
}

func readStream(ctx context.Context, stream cdc.Stream, from, until cdc.Position) ([]transaction, error) {
	set, err := gtid.Parse(until.Flavor, from.GTIDs)
	if err != nil {
		return nil, err
	}
	want, err := gtid.Parse(until.Flavor, until.GTIDs)
	if err != nil {
		return nil, err
	}
	var txs []transaction
	for !set.Contains(want) {
		slice, err := stream.Next(ctx)
		if err != nil {
			return txs, err
		}
		if slice.First {
			txs = append(txs, transaction{id: slice.ID, time: slice.Time})
		}
		tx := &txs[len(txs)-1]
		tx.slices++
		for _, c := range slice.Changes {
			for _, b := range []*[]byte{&c.Key, &c.OldKey, &c.Before, &c.After} {
				*b = bytes.Clone(*b)
			}
			tx.changes = append(tx.changes, c)
		}
		if tx.whole = slice.Last; slice.Last {
			tx.prepared, tx.completed = slice.Prepared, slice.Completed
			if err := set.Add(slice.ID); err != nil {
				return txs, err
			}
		}
	}
	return txs, nil
}

// add returns the position with one transaction more.
func add(t *testing.T, p cdc.Position, id string) cdc.Position {
	t.Helper()
	set, err := gtid.Parse(p.Flavor, p.GTIDs)
	if err == nil {
		err = set.Add(id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cdc.Position{Flavor: p.Flavor, GTIDs: set.String()}
}

// behind returns the position with one transaction more, with the XA transactions that are open there.
func behind(t *testing.T, p cdc.Position, tx transaction) cdc.Position {
	t.Helper()
	next := add(t, p, tx.id)
	next.Prepared = slices.DeleteFunc(slices.Clone(p.Prepared), func(p eventstore.Prepare) bool { return p.XID == tx.completed })
	if tx.prepared != nil {
		next.Prepared = append(next.Prepared, *tx.prepared)
	}
	return next
}

// changes are all changes of transactions.
func changes(txs []transaction) []cdc.Change {
	var out []cdc.Change
	for _, tx := range txs {
		out = append(out, tx.changes...)
	}
	return out
}
