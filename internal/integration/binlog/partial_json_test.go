package binlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestPartialJSON: random changes of parts of random documents, logged as diffs. Each image has the whole documents, byte for byte what the
// server's SELECT said behind that statement; also in compressed transactions, and in images that lack columns of other types.
func TestPartialJSON(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testPartialJSON(t, "FULL", false) })
	t.Run("compressed", func(t *testing.T) { testPartialJSON(t, "FULL", true) })
	t.Run("NOBLOB", func(t *testing.T) { testPartialJSON(t, "NOBLOB", false) })
}

// jsonImage is a row's image, or what SELECT makes of it.
type jsonImage struct {
	ID, D, E, G json.RawMessage
}

func testPartialJSON(t *testing.T, image string, compressed bool) {
	d := open(t, ownServer(t, servers.MySQL), "partialjson")
	d.SetMaxOpenConns(1) // session settings
	d.exec(t, "SET SESSION sql_mode = '', binlog_row_value_options = 'PARTIAL_JSON', binlog_row_image = '"+image+"'")
	if compressed {
		d.exec(t, "SET SESSION binlog_transaction_compression = 1")
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	d.exec(t, "CREATE TABLE j (id INT PRIMARY KEY, d JSON, note VARCHAR(20), t TEXT, e JSON, g JSON AS (JSON_ARRAY(d -> '$.a', 1)) STORED, v JSON AS (JSON_ARRAY(e)) VIRTUAL)")
	const rows = 20
	for id := range rows {
		d.exec(t, fmt.Sprintf("INSERT INTO j (id, d, t, e) VALUES (%d, %s, 'text', %s)", id, sqlText(oddJSON(rnd, 4)), sqlText(oddJSON(rnd, 2))))
	}
	d.exec(t, fmt.Sprintf("UPDATE j SET d = '%s' WHERE id = 1", "["+strings.Repeat("1, 70000, \"text\", 5000000000, ", 8000)+"0]")) // beyond 64 KiB
	d.exec(t, fmt.Sprintf("UPDATE j SET d = '%s', e = '%s' WHERE id = 2", strings.Repeat("[", 98)+"[7, \"deep\"]"+strings.Repeat("]", 98),
		strings.Repeat(`{"a": `, 97)+`{"b c": [1], "pad": "`+strings.Repeat("x", 200)+`"}`+strings.Repeat("}", 97)))
	from := d.executed(t)
	var want []jsonImage
	d.exec(t, "BEGIN")
	for n := range 3000 {
		if n%50 == 49 {
			d.exec(t, "COMMIT")
			d.exec(t, "BEGIN")
		}
		id := rnd.IntN(rows)
		last := id
		if rnd.IntN(5) == 0 {
			last = min(id+rnd.IntN(4), rows-1)
		}
		shown := d.documents(t, id, id)
		if len(shown) == 0 {
			continue
		}
		set := []string{fmt.Sprintf("note = 'n%d'", n)}
		for _, column := range [][]byte{[]byte("d"), []byte("e")} {
			doc := shown[0].D
			if column[0] == 'e' {
				doc = shown[0].E
			}
			if rnd.IntN(3) > 0 {
				set = append(set, string(column)+" = "+jsonChange(rnd, string(column), doc))
			}
		}
		if rnd.IntN(20) == 0 {
			set = append(set, "id = id + 1000") // and back
			last = id
		}
		statement := fmt.Sprintf("UPDATE j SET %s WHERE id BETWEEN %d AND %d ORDER BY id", strings.Join(set, ", "), id, last)
		if _, err := d.Exec(statement); err != nil {
			if !strings.Contains(err.Error(), "3157") { // too deep
				t.Fatalf("%.500s: %v", statement, err)
			}
			continue
		}
		if len(set) > 0 && strings.HasPrefix(set[len(set)-1], "id =") {
			want = append(want, d.documents(t, id+1000, id+1000)...)
			d.exec(t, fmt.Sprintf("UPDATE j SET id = id - 1000 WHERE id = %d", id+1000))
		}
		want = append(want, d.documents(t, id, last)...)
	}
	d.exec(t, "COMMIT")
	until := d.executed(t)
	diffs, payloads := countDiffs(t, d, from, until)
	if compressed != (payloads > 0) || diffs < 700 {
		t.Fatalf("%d documents as diffs, %d compressed transactions", diffs, payloads)
	}
	got := changes(read(t, d.source(t, func(c *binlog.Config) { c.PartialRows = true }), from, until))
	t.Logf("%d images, %d documents as diffs", len(want), diffs)
	if len(got) != len(want) {
		t.Fatalf("%d changes, want %d", len(got), len(want))
	}
	before := map[string]string{}
	for i, c := range got {
		var after jsonImage
		if err := json.Unmarshal(c.After, &after); err != nil {
			t.Fatalf("image %d: %v", i, err)
		}
		for _, column := range []struct {
			name      string
			got, want json.RawMessage
		}{{"id", after.ID, want[i].ID}, {"d", after.D, want[i].D}, {"e", after.E, want[i].E}, {"g", after.G, want[i].G}} {
			if string(column.got) != string(column.want) {
				t.Errorf("image %d, column %s:\n got %.500s\nwant %.500s", i, column.name, column.got, column.want)
			}
		}
		key, old := string(c.Key), string(c.Key)
		if c.OldKey != nil {
			old = string(c.OldKey)
		}
		if known := before[old]; known != "" && known != string(c.Before) {
			t.Errorf("image %d: before it was %.300s, want %.300s", i, c.Before, known)
		}
		delete(before, old)
		before[key] = string(c.After)
		if absent := c.Absent; (absent == nil) != (image == "FULL") || absent != nil && !slices.Equal(absent.After, []string{"t"}) {
			t.Errorf("image %d: %+v is absent", i, absent)
		}
	}
}

// documents asks the server for rows.
func (d *database) documents(t *testing.T, from, to int) []jsonImage {
	t.Helper()
	var out []jsonImage
	null := func(s string) json.RawMessage {
		if s == "" {
			s = "null"
		}
		return json.RawMessage(compact(s))
	}
	for _, row := range d.rows(t, fmt.Sprintf("SELECT id, CAST(d AS CHAR), CAST(e AS CHAR), CAST(g AS CHAR) FROM j WHERE id BETWEEN %d AND %d ORDER BY id", from, to)) {
		out = append(out, jsonImage{json.RawMessage(row[0]), null(row[1]), null(row[2]), null(row[3])})
	}
	return out
}

// jsonChange is an expression that changes parts of a column's document, mostly one that the server logs as a diff.
func jsonChange(rnd *rand.Rand, column string, doc []byte) string {
	switch rnd.IntN(25) {
	case 0:
		return "NULL"
	case 1:
		return sqlText(oddJSON(rnd, 4))
	case 2:
		return column
	}
	if string(doc) == "null" {
		return sqlText(oddJSON(rnd, 5))
	}
	expression := column
	for range 1 + rnd.IntN(3) {
		var args []string
		function := []string{"JSON_SET", "JSON_SET", "JSON_REPLACE", "JSON_REPLACE", "JSON_REMOVE", "JSON_REMOVE", "JSON_ARRAY_APPEND", "JSON_INSERT", "JSON_ARRAY_INSERT"}[rnd.IntN(9)]
		if function[5] == 'A' || function[5] == 'I' { // logged as whole documents
			function = []string{"JSON_SET", function}[rnd.IntN(3)/2]
		}
		for range 1 + rnd.IntN(3) {
			path := jsonPath(rnd, doc)
			if function == "JSON_REMOVE" && path == "$" || function == "JSON_ARRAY_INSERT" && !strings.HasSuffix(path, "]") {
				path += "[0]"
			}
			args = append(args, sqlText(path))
			if function != "JSON_REMOVE" {
				args = append(args, oddValue(rnd))
			}
		}
		expression = fmt.Sprintf("%s(%s, %s)", function, expression, strings.Join(args, ", "))
	}
	return expression
}

// jsonPath is a path into the document or beside it.
func jsonPath(rnd *rand.Rand, doc []byte) string {
	path := "$"
	var value any
	if json.Unmarshal(doc, &value) != nil {
		return path
	}
	for rnd.IntN(12) > 0 || path == "$" {
		switch v := value.(type) {
		case map[string]any:
			name := oddName(rnd)
			if len(v) > 0 && rnd.IntN(4) > 0 {
				names := make([]string, 0, len(v))
				for n := range v {
					names = append(names, n)
				}
				slices.Sort(names)
				name = names[rnd.IntN(len(names))]
			}
			path += "." + quoted(name)
			if !slices.Contains([]string{"a", "b", "ab", "zz"}, name) || rnd.IntN(2) == 0 {
				// quoted stays
			} else {
				path = strings.TrimSuffix(path, quoted(name)) + name
			}
			value = v[name]
		case []any:
			i := rnd.IntN(len(v) + 2)
			switch {
			case len(v) == 0 || rnd.IntN(3) > 0:
				path += "[" + strconv.Itoa(i) + "]"
			case rnd.IntN(2) == 0:
				path, i = path+"[last]", len(v)-1
			default:
				path, i = path+fmt.Sprintf("[last-%d]", i), len(v)-1-i
			}
			value = nil
			if i >= 0 && i < len(v) {
				value = v[i]
			}
		default:
			return path + []string{"", "[0]", "[last]", "[0][0]", ".a", "[1]"}[rnd.IntN(6)]
		}
	}
	return path
}

func oddName(rnd *rand.Rand) string {
	return []string{"a", "b", "ab", "zz", "b c", "é", `q"q`, `back\slash`, "last", "1x", "", ".", "[0]", "$", "😀", "line\nbreak", "\u0001", "B", strings.Repeat("n", 300)}[rnd.IntN(19)]
}

func oddJSON(rnd *rand.Rand, depth int) string {
	if depth == 0 {
		return randomJSON(rnd, 0)
	}
	switch rnd.IntN(3) {
	case 0:
		var parts []string
		for range rnd.IntN(7) {
			parts = append(parts, quoted(oddName(rnd))+": "+oddJSON(rnd, depth-1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case 1:
		var parts []string
		for range rnd.IntN(6) {
			parts = append(parts, oddJSON(rnd, depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return randomJSON(rnd, depth-1)
}

func oddValue(rnd *rand.Rand) string {
	switch rnd.IntN(12) {
	case 0:
		return "CAST(" + sqlText(oddJSON(rnd, 2)) + " AS JSON)"
	case 1:
		return "NULL"
	case 2:
		return "CAST('2024-02-03 04:05:06.789' AS DATETIME(3))"
	case 3:
		return "1.50"
	case 4:
		return "x'ff00'"
	case 5:
		return []string{"TRUE", "FALSE", "1e0", "-0e0", "CAST('10:11:12' AS TIME)", "DATE '2024-01-01'"}[rnd.IntN(6)]
	case 6:
		return sqlText(strings.Repeat("é\"\n", rnd.IntN(100)))
	case 7:
		return "JSON_ARRAY()"
	case 8:
		return "JSON_OBJECT('x', 1, 'a', JSON_OBJECT())"
	}
	return fmt.Sprint(rnd.Int64() >> rnd.IntN(64))
}

func sqlText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(s) + "'"
}

// TestPartialJSONWithoutDocument: diffs of a document that the image before lacks stop the stream, and the check finds the settings that
// lead to it.
func TestPartialJSONWithoutDocument(t *testing.T) {
	d := open(t, ownServer(t, servers.MySQL), "partialjson")
	accept := func(c *binlog.Config) { c.PartialRows = true }
	d.exec(t, "CREATE TABLE j (id INT PRIMARY KEY, d JSON)")
	d.exec(t, `INSERT INTO j VALUES (1, '{"a": "long enough to be worth a diff", "b": 1}')`)
	d.exec(t, "SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'")
	t.Cleanup(func() { d.exec(t, "SET GLOBAL binlog_row_value_options = '', GLOBAL binlog_row_image = 'FULL'") })
	mentions(t, problems(t, d.source(t)))
	mentions(t, problems(t, d.source(t, accept)))
	d.exec(t, "SET GLOBAL binlog_row_image = 'NOBLOB'") // which leaves JSON columns in
	mentions(t, problems(t, d.source(t)), "binlog_row_image")
	mentions(t, problems(t, d.source(t, accept)))
	d.exec(t, "SET GLOBAL binlog_row_image = 'MINIMAL'")
	mentions(t, problems(t, d.source(t)), "binlog_row_image")
	got := problems(t, d.source(t, accept))
	mentions(t, got, "binlog_row_value_options")
	update := func() error {
		from := d.executed(t)
		session := connect(t, d.addr.DSN(d.schema)) // with the settings
		if _, err := session.ExecContext(context.Background(), "UPDATE j SET d = JSON_SET(d, '$.b', 2 + JSON_EXTRACT(d, '$.b'))"); err != nil {
			t.Fatal(err)
		}
		stream, err := d.source(t, accept).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		_, err = readStream(t.Context(), stream, from, d.executed(t))
		return err
	}
	err := update()
	de, ok := errors.AsType[*cdc.DecodeError](err)
	if !ok || de.Table != "partialjson.j" || de.Column != "d" || !strings.Contains(err.Error(), "binlog_row_value_options") {
		t.Errorf("got %v, want a *cdc.DecodeError of column d", err)
	}
	d.exec(t, "SET GLOBAL binlog_row_value_options = ''")
	mentions(t, problems(t, d.source(t, accept)))
	if err := update(); err != nil {
		t.Errorf("without diffs: %v", err)
	}
}

// countDiffs counts the JSON columns of updates that the server has logged as diffs, and the transactions it has compressed, by another
// decoder.
func countDiffs(t *testing.T, d *database, from, until cdc.Position) (diffs, compressed int) {
	t.Helper()
	host, port, _ := net.SplitHostPort(d.addr.HostPort())
	n, _ := strconv.Atoi(port)
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{ServerID: 78, Flavor: from.Flavor, Host: host, Port: uint16(n),
		User: servers.CDCUser, Password: servers.CDCPassword, Logger: slog.New(slog.DiscardHandler)})
	defer syncer.Close()
	set, err := gomysql.ParseGTIDSet(from.Flavor, from.GTIDs)
	if err != nil {
		t.Fatal(err)
	}
	streamer, err := syncer.StartSyncGTID(set.Clone()) // it writes into what it is given
	if err != nil {
		t.Fatal(err)
	}
	want, err := gomysql.ParseGTIDSet(from.Flavor, until.GTIDs)
	if err != nil {
		t.Fatal(err)
	}
	gtid := ""
	for !set.Contain(want) {
		e, err := streamer.GetEvent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events := []*replication.BinlogEvent{e}
		if p, ok := e.Event.(*replication.TransactionPayloadEvent); ok {
			compressed++
			events = p.Events
		}
		for _, e := range events {
			switch e := e.Event.(type) {
			case *replication.RowsEvent:
				for _, row := range e.Rows {
					for _, value := range row {
						if _, ok := value.(*replication.JsonDiff); ok {
							diffs++
						}
					}
				}
			case *replication.GTIDEvent:
				next, err := e.GTIDNext()
				if err != nil {
					t.Fatal(err)
				}
				gtid = next.String()
			case *replication.XIDEvent:
				if err := set.Update(gtid); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return diffs, compressed
}
