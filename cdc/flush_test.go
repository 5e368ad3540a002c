package cdc

import (
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// BenchmarkFlush is what a row costs between the stream and the log: its records are rendered, and go to the topic that a route names.
func BenchmarkFlush(b *testing.B) {
	const rows = 1000
	table := &Table{Schema: "shop", Name: "order_item", Columns: []Column{{Name: "id", Type: "bigint"}}, Key: []int{0}}
	slice := &Slice{ID: "3e11fa47-71ca-11e1-9e33-c80aa9429562:5", First: true, Last: true}
	for i := range uint64(rows) {
		slice.Changes = append(slice.Changes, Change{Table: table, Op: Create, Row: i, Key: []byte(`{"id":1}`), After: []byte(`{"id":1}`)})
	}
	f := newFlush("config", &rules{routes: eventstore.Routes{{Tables: "shop.*", Topic: "shop"}}}, newDefinitions())
	b.ReportAllocs()
	for b.Loop() {
		f.reset()
		if err := f.judge(slice); err != nil {
			b.Fatal(err)
		}
		f.add(slice, 1, "mysql", nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}
