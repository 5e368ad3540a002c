package cdc_test

import (
	"testing"

	"github.com/millrace-go/millrace/cdc"
)

// TestZeroValues: a relay that nobody made says so; a source in memory is an empty one.
func TestZeroValues(t *testing.T) {
	if err := new(cdc.Relay).Run(t.Context()); err == nil {
		t.Error("a relay that is not made by NewRelay: no error")
	}
	source := new(cdc.MemorySource)
	if id := source.Commit(cdc.Change{Op: cdc.Create, Key: []byte("1"), After: []byte("1")}); id == "" {
		t.Error("no GTID")
	}
	if _, err := source.Prepare("x"); err != nil {
		t.Error(err)
	}
	if tables, err := source.Tables(t.Context()); err != nil || len(tables) != 1 {
		t.Errorf("tables: %v, %v", tables, err)
	}
	source.Purge(1)
}
