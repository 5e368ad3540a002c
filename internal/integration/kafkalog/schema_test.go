package kafkalog

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// TestSchemaTopic: schema records of all tables stand in one partition, in their order, for the writer that made the topic and for the next.
func TestSchemaTopic(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		cfg := config(t, addrs, pipeline())
		log := open(t, cfg)
		var want []*eventstore.TableDefinition
		for csn := range eventstore.CSN(3) {
			w := begin(t, log)
			mark(t, w, csn)
			f := &eventstore.Flush{}
			f.Stamp.Add(csn+1, fmt.Sprintf("0-1-%d", csn+1))
			for i := range uint64(10) {
				d := &eventstore.TableDefinition{Schema: "shop", Table: fmt.Sprintf("t%d_%d", csn, i), Key: []string{}}
				c := eventstore.SchemaChange{Op: eventstore.SchemaDefine, Schema: d.Schema, Table: d.Table, Definition: d, Place: eventstore.Place{CSN: csn + 1, Index: eventstore.SchemaIndex(i)}}
				rec := eventstore.Record{Place: c.Place, Topic: eventstore.SchemaTopic, Key: eventstore.AppendSchemaKey(nil, d.Schema, d.Table), Value: eventstore.AppendSchema(nil, &c)}
				if n := w.Partition(rec.Topic, rec.Key); n != 0 {
					t.Fatalf("table %s belongs to partition %d", d.Table, n)
				}
				want, f.Records = append(want, d), append(f.Records, rec)
			}
			if err := w.Append(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			mark(t, w, csn+1)
		}
		schemas, err := eventstore.ReadSchemas(t.Context(), open(t, cfg), 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range want {
			if got, ok := schemas.Lookup(d.ID()); !ok || got.Table != d.Table {
				t.Errorf("definition of %s: got %+v, %v", d.Table, got, ok)
			}
		}
	})
}
