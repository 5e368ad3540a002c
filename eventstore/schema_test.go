package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSchemaRoundTrip(t *testing.T) {
	at := time.UnixMicro(1_700_000_000_123_456)
	for _, want := range []SchemaChange{
		{Op: SchemaDefine, Schema: "shop", Table: "product", GTID: "0-1-7", Time: at, Place: Place{CSN: 7, Index: 3}, Definition: &TableDefinition{
			Schema: "shop", Table: "product", Columns: []ColumnDefinition{{Name: "id", Type: "int unsigned"}, {Name: `we"ird`, Type: "varchar"}}, Key: []string{"id", `we"ird`}}},
		{Op: SchemaDefine, Schema: "s", Table: "<bytes> \xff\xfe", Time: at, Definition: &TableDefinition{
			Schema: "s", Table: "<bytes> \xff\xfe", Columns: []ColumnDefinition{}, Key: []string{}}},
		{Op: SchemaRename, Schema: "shop", Table: "a.b", ToSchema: "other", ToTable: "ü", Statement: "RENAME TABLE `a.b` TO other.ü", GTID: "0-1-8", Time: at},
		{Op: SchemaCreate, Schema: "shop", Table: "t", IfNotExists: true, Statement: "CREATE TABLE IF NOT EXISTS t (a INT)", Time: time.UnixMicro(0)},
		{Op: SchemaDrop, Schema: "shop", Statement: "DROP DATABASE shop", Time: time.UnixMicro(-1)},
	} {
		rec := Record{Place: want.Place, Topic: SchemaTopic, Value: AppendSchema(nil, &want)}
		if key := AppendSchemaKey(nil, want.Schema, want.Table); !json.Valid(rec.Value) || !json.Valid(key) {
			t.Fatalf("not JSON: %s %s", key, rec.Value)
		}
		var got SchemaChange
		if err := ParseSchema(&rec, &got); err != nil {
			t.Fatal(err)
		}
		if again := AppendSchema(nil, &got); string(again) != string(rec.Value) {
			t.Errorf("read and written again:\n%s\n%s", rec.Value, again)
		}
		if !utf8.ValidString(want.Table) { // that cannot come back
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("schema record (-want +got):\n%s", diff)
		}
	}
}

// TestDefinitionID: whatever differs, the id differs.
func TestDefinitionID(t *testing.T) {
	base := TableDefinition{Schema: "s", Table: "t", Columns: []ColumnDefinition{{Name: "a", Type: "int"}, {Name: "b", Type: "int"}}, Key: []string{"a"}}
	seen := map[string]bool{base.ID(): true}
	for i, change := range []func(*TableDefinition){
		func(d *TableDefinition) { d.Schema = "s2" },
		func(d *TableDefinition) { d.Table = "t2" },
		func(d *TableDefinition) { d.Key = []string{"b"} },
		func(d *TableDefinition) { d.Key = []string{"a", "b"} },
		func(d *TableDefinition) {
			d.Columns = []ColumnDefinition{{Name: "b", Type: "int"}, {Name: "a", Type: "int"}}
		},
		func(d *TableDefinition) {
			d.Columns = []ColumnDefinition{{Name: "a", Type: "int"}, {Name: "b", Type: "bigint"}}
		},
		func(d *TableDefinition) { d.Columns = []ColumnDefinition{{Name: "a", Type: "int"}} },
		func(d *TableDefinition) {
			d.Columns = []ColumnDefinition{{Name: "a", Type: "int"}, {Name: "b", Type: "int", Mask: "hash"}}
		},
	} {
		d := base
		change(&d)
		if seen[d.ID()] {
			t.Errorf("change %d: the id stays", i)
		}
		seen[d.ID()] = true
	}
}

// TestSchemaPage: the schema records in docs/wire-format.md are what AppendSchema makes of their parts, and the row names the definition.
func TestSchemaPage(t *testing.T) {
	page, err := os.ReadFile("../docs/wire-format.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```json\n({\"op\":.*?})\n```").FindAllSubmatch(page, -1)
	if len(examples) != 2 {
		t.Fatalf("the page has %d examples of schema records, want 2", len(examples))
	}
	for _, example := range examples {
		want := strings.ReplaceAll(string(example[1]), "\n ", "")
		var at Place
		if err := json.Unmarshal([]byte(want), &at); err != nil {
			t.Fatal(err)
		}
		var c SchemaChange
		if err := ParseSchema(&Record{Place: at, Value: []byte(want)}, &c); err != nil {
			t.Fatal(err)
		}
		if got := string(AppendSchema(nil, &c)); got != want {
			t.Errorf("got  %s\npage %s", got, want)
		}
		if d := c.Definition; d != nil && !strings.Contains(string(page), fmt.Sprintf(`"index":4,"definition":"%s"},`, d.ID())) {
			t.Errorf("the page's row does not name the definition %s", d.ID())
		}
		if at.Index != SchemaIndex(0) {
			t.Errorf("the page's record is at %+v", at)
		}
	}
}

func TestParseSchemaRefuses(t *testing.T) {
	var c SchemaChange
	for _, value := range []string{``, `x`, `{}`, `{"op":"create","db":5}`, `{"op":"explode","db":"s","table":"t"}`,
		`{"op":"define","definition":"0000000000000000","db":"s","table":"t","columns":[],"key":[]}`} {
		if err := ParseSchema(&Record{Value: []byte(value)}, &c); err == nil {
			t.Errorf("%s: no error", value)
		}
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add(AppendSchema(nil, &SchemaChange{Op: SchemaRename, Schema: "a", Table: "b", ToSchema: "c", ToTable: "d", Statement: "x"}))
	f.Add(AppendSchema(nil, &SchemaChange{Op: SchemaDefine, Definition: &TableDefinition{Columns: []ColumnDefinition{{Name: "a", Type: "int"}}, Key: []string{"a"}}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		var c SchemaChange
		if err := ParseSchema(&Record{Value: value}, &c); err == nil && c.Op == "" {
			t.Fatal("parsed without an op")
		}
	})
}

func ExampleReadSchemas() {
	ctx, log := context.Background(), NewMemoryLog()
	w, err := log.Begin(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	product := &TableDefinition{Schema: "shop", Table: "product", Columns: []ColumnDefinition{{Name: "id", Type: "bigint"}, {Name: "name", Type: "varchar"}}, Key: []string{"id"}}
	schema := SchemaChange{Op: SchemaDefine, Schema: "shop", Table: "product", Definition: product, GTID: "0-1-1", Place: Place{CSN: 1, Index: SchemaIndex(0)}}
	row := RowChange{Op: 'c', Schema: "shop", Table: "product", After: []byte(`{"id":1,"name":"tea"}`), Definition: product.ID(), GTID: "0-1-1",
		Place: Place{CSN: 1, Index: RowIndex(0, RowRecord)}}
	flush := Flush{Records: []Record{
		{Place: schema.Place, Topic: SchemaTopic, Key: AppendSchemaKey(nil, "shop", "product"), Value: AppendSchema(nil, &schema)},
		{Place: row.Place, Topic: RowTopic("shop", "product"), Key: []byte(`{"id":1}`), Value: AppendRow(nil, &row)},
	}}
	flush.Stamp.Add(1, "0-1-1")
	err = errors.Join(w.Watermark(ctx, Watermark{Position: Position{Flavor: "mariadb"}}), w.Append(ctx, &flush),
		w.Watermark(ctx, Watermark{CSN: 1, Position: Position{Flavor: "mariadb", GTIDs: "0-1-1"}}))
	if err != nil {
		fmt.Println(err)
		return
	}

	schemas, err := ReadSchemas(ctx, log, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, ok := schemas.Lookup(row.Definition)
	fmt.Println(ok, d.Key)
	for _, c := range d.Columns {
		fmt.Println(c.Name, c.Type)
	}
	// Output:
	// true [id]
	// id bigint
	// name varchar
}

func ExampleParseSchema() {
	rec := Record{Place: Place{CSN: 8, Index: 3}, Topic: SchemaTopic, Value: []byte(
		`{"op":"rename","db":"shop","table":"product","to":{"db":"shop","table":"article"},"statement":"RENAME TABLE product TO article","gtid":"0-1-8","csn":8,"index":3,"ts_us":0}`)}
	var c SchemaChange
	if err := ParseSchema(&rec, &c); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s.%s to %s.%s at csn %d\n", c.Op, c.Schema, c.Table, c.ToSchema, c.ToTable, c.CSN)
	// Output: rename shop.product to shop.article at csn 8
}

func ExampleAppendSchema() {
	c := SchemaChange{Op: SchemaTruncate, Schema: "shop", Table: "product", Statement: "TRUNCATE product", GTID: "0-1-9", Time: time.UnixMilli(5),
		Place: Place{CSN: 9, Index: SchemaIndex(0)}}
	fmt.Printf("%s\n%s\n", AppendSchemaKey(nil, c.Schema, c.Table), AppendSchema(nil, &c))
	// Output:
	// {"db":"shop","table":"product"}
	// {"op":"truncate","db":"shop","table":"product","statement":"TRUNCATE product","gtid":"0-1-9","csn":9,"index":3,"ts_ms":5,"ts_us":5000}
}
