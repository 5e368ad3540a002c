package binlog

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestCutOff: MariaDB leaves its binlog file as it was when it was killed within a commit: it ends within a transaction, at the end of an
// event or not. A stream that comes there later, from further back, goes on with the next file, or can be opened behind the last whole
// transaction. MySQL repairs its file when it starts.
func TestCutOff(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind)
		d := open(t, server.Address(), "cutoff")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		for i, within := range []int64{0, 10} {
			d.exec(t, "FLUSH BINARY LOGS")
			from := d.executed(t)
			d.exec(t, "INSERT INTO a VALUES (?)", 100*i)
			middle := d.executed(t)
			conn, exec := d.session(t)
			exec("BEGIN")
			for id := range 9 {
				exec("INSERT INTO a VALUES (" + strconv.Itoa(100*i+10+id) + ")")
			}
			exec("COMMIT")
			conn.Close()
			file := filepath.Join(d.value(t, "SELECT @@datadir"), middle.File)
			cut := d.endOfRows(t, middle, 5)
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, cut+within); err != nil { // it never came to the disk
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.exec(t, "INSERT INTO a VALUES (?)", 100*i+50)
			if kind == servers.MariaDB && within > 0 {
				testWithin(t, d, from)
				from = middle
			}
			var got []string
			for _, tx := range read(t, d.source(t), from, d.executed(t)) {
				for _, c := range tx.changes {
					got = append(got, string(c.Key))
				}
			}
			want := []string{`{"id":` + strconv.Itoa(100*i) + `}`, `{"id":` + strconv.Itoa(100*i+50) + `}`}
			if from.GTIDs == middle.GTIDs {
				want = want[1:]
			}
			if len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
				t.Errorf("cut off %d bytes within an event: got rows %v, want %v", within, got, want)
			}
		}
	})
}

// endOfRows is where the n-th row event behind a position ends.
func (d *database) endOfRows(t *testing.T, behind cdc.Position, n int) int64 {
	t.Helper()
	for _, row := range d.rows(t, "SHOW BINLOG EVENTS IN '"+behind.File+"' FROM "+strconv.FormatUint(behind.Offset, 10)) {
		if kind := row[2]; kind == "Write_rows_v1" || kind == "Write_rows" {
			if n--; n == 0 {
				end, err := strconv.ParseInt(row[4], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return end
			}
		}
	}
	t.Fatal("too few row events")
	return 0
}

// testWithin: a stream that comes to where the file ends within an event says that another one may be opened, if there is a transaction to open
// it behind.
func testWithin(t *testing.T, d *database, from cdc.Position) {
	t.Helper()
	stream, err := d.source(t).Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if slice, err := stream.Next(t.Context()); err != nil || !slice.Last {
		t.Fatalf("got %+v, %v, want a transaction", slice, err)
	}
	if slice, err := stream.Next(t.Context()); !errors.Is(err, cdc.ErrUnavailable) {
		t.Errorf("where the file is cut off: got %+v, %v, want ErrUnavailable", slice, err)
	}
}
