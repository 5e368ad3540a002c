package cdc_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

func TestFilterCaptured(t *testing.T) {
	f := cdc.Filter{Include: []string{"shop.*"}, Exclude: []string{"shop._*"}}
	for _, tt := range []struct {
		change cdc.SchemaChange
		want   bool
	}{
		{cdc.SchemaChange{Op: eventstore.SchemaAlter, Schema: "shop", Table: "t"}, true},
		{cdc.SchemaChange{Op: eventstore.SchemaAlter, Schema: "shop", Table: "_t"}, false},
		{cdc.SchemaChange{Op: eventstore.SchemaAlter, Schema: "other", Table: "t"}, false},
		{cdc.SchemaChange{Op: eventstore.SchemaRename, Schema: "shop", Table: "_t", ToSchema: "shop", ToTable: "t"}, true},
		{cdc.SchemaChange{Op: eventstore.SchemaRename, Schema: "shop", Table: "t", ToSchema: "other", ToTable: "t"}, true},
		{cdc.SchemaChange{Op: eventstore.SchemaRename, Schema: "other", Table: "t", ToSchema: "other", ToTable: "u"}, false},
		{cdc.SchemaChange{Op: eventstore.SchemaDrop, Schema: "shop"}, true},
		{cdc.SchemaChange{Op: eventstore.SchemaDrop, Schema: "other"}, false},
	} {
		if got := len(f.Captured([]cdc.SchemaChange{tt.change})) == 1; got != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.change, got, tt.want)
		}
	}
	if (cdc.Filter{}).MatchSchema("mysql") || !(cdc.Filter{}).MatchSchema("shop") || (cdc.Filter{Include: []string{"*.*"}}).MatchSchema("sys") ||
		(cdc.Filter{Exclude: []string{"shop.*"}}).MatchSchema("shop") {
		t.Error("the zero filter takes every schema but the servers' own, and so does *.*; excluding all of a schema excludes it")
	}
}

func ExampleMemorySource_Execute() {
	source, err := cdc.NewMemorySource(cdc.Filter{}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	source.Execute(cdc.SchemaChange{Op: eventstore.SchemaTruncate, Schema: "shop", Table: "product", Statement: "TRUNCATE product"})
	stream, err := source.Open(context.Background(), cdc.Position{Flavor: "mysql"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Close()
	slice, err := stream.Next(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(slice.Schema[0].Op, slice.Schema[0].Table, len(slice.Changes))
	// Output: truncate product 0
}
