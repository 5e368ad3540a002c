package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// xaHistory runs transactions one after the other and notes what the stream must give for each: the rows of an XA transaction at its
// commit. The order of the commits is that of the statements, so nothing has to be asked of the server.
type xaHistory struct {
	*database
	rnd  *rand.Rand
	next int        // id of the next row
	open []xaBranch // prepared
	lost int        // prepared, and forgotten by the server when it was restarted
	want [][]string // of each transaction, its changes
}

// xaBranch is a prepared transaction. conn is the session that prepared it, which MariaDB demands to complete it; nil after a restart.
type xaBranch struct {
	id   string
	conn *sql.Conn
	rows []string
}

// session opens a connection of its own and returns a function to use it.
func (d *database) session(t *testing.T) (*sql.Conn, func(statement string)) {
	t.Helper()
	conn, err := d.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		t.Helper()
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			t.Fatalf("%.200s: %v", statement, err)
		}
	}
	exec("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED") // what is prepared locks no gaps, in which others insert
	exec("SET SESSION innodb_lock_wait_timeout = 5")
	return conn, exec
}

// work changes some rows and returns the changes that must come. Every third time it takes some of them back to a savepoint.
func (h *xaHistory) work(exec func(string)) []string {
	var rows []string
	change := func() {
		h.next++
		exec(fmt.Sprintf("INSERT INTO a VALUES (%d, 'new')", h.next))
		rows = append(rows, fmt.Sprintf("c %d new", h.next))
		if h.rnd.IntN(2) == 0 {
			exec(fmt.Sprintf("UPDATE a SET v = 'changed' WHERE id = %d", h.next))
			rows = append(rows, fmt.Sprintf("u %d changed", h.next))
		}
		if h.rnd.IntN(3) == 0 {
			exec(fmt.Sprintf("DELETE FROM a WHERE id = %d", h.next))
			rows = append(rows, fmt.Sprintf("d %d", h.next))
		}
	}
	for range 1 + h.rnd.IntN(3) {
		change()
	}
	if h.rnd.IntN(3) == 0 {
		exec("SAVEPOINT s")
		kept := len(rows)
		change()
		exec("ROLLBACK TO SAVEPOINT s")
		rows = rows[:kept:kept]
		change()
	}
	return rows
}

// step runs something at random that the binlog shows, or nothing.
func (h *xaHistory) step(t *testing.T) {
	kind := h.rnd.IntN(10)
	switch {
	case kind >= 7 && len(h.open) > 0:
		h.complete(t, h.rnd.IntN(len(h.open)), h.rnd.IntN(3) > 0)
		return
	case len(h.open) >= 5:
		h.complete(t, 0, true)
		return
	}
	conn, exec := h.session(t)
	id := fmt.Sprintf("'%d it''s', 'b', %d", h.next, 1+h.rnd.IntN(2)*70000)
	switch kind {
	case 0, 1: // ordinary
		exec("BEGIN")
		h.want = append(h.want, h.work(exec))
		exec("COMMIT")
	case 2: // one phase
		exec("XA START " + id)
		h.want = append(h.want, h.work(exec))
		exec("XA END " + id)
		exec("XA COMMIT " + id + " ONE PHASE")
	case 3: // rolled back before it was prepared, and one without changes
		exec("XA START " + id)
		h.work(exec)
		exec("XA END " + id)
		exec("XA ROLLBACK " + id)
		exec("XA START " + id)
		exec("XA END " + id)
		exec("XA PREPARE " + id)
		_, _ = conn.ExecContext(context.Background(), "XA COMMIT "+id) // MySQL has forgotten it already
	case 4: // only tables that the filter leaves out
		exec("XA START " + id)
		h.next++
		exec(fmt.Sprintf("INSERT INTO secret VALUES (%d)", h.next))
		exec("XA END " + id)
		exec("XA PREPARE " + id)
		h.want = append(h.want, nil)
		h.open = append(h.open, xaBranch{id: id, conn: conn})
		return
	default:
		exec("XA START " + id)
		rows := h.work(exec)
		exec("XA END " + id)
		exec("XA PREPARE " + id)
		h.want = append(h.want, nil)
		h.open = append(h.open, xaBranch{id, conn, rows})
		return
	}
	conn.Close()
}

func (h *xaHistory) complete(t *testing.T, i int, commit bool) {
	t.Helper()
	b := h.open[i]
	h.open = append(h.open[:i:i], h.open[i+1:]...)
	if b.conn == nil {
		b.conn, _ = h.session(t)
	}
	defer b.conn.Close()
	verb := "COMMIT"
	if !commit {
		verb, b.rows = "ROLLBACK", nil
	}
	if _, err := b.conn.ExecContext(context.Background(), "XA "+verb+" "+b.id); err != nil {
		t.Fatalf("XA %s %s, whose rows are %s: %v; prepared are %v", verb, b.id, b.rows, err, h.rows(t, "XA RECOVER CONVERT XID"))
	}
	h.want = append(h.want, b.rows)
}

// restart stops the server in between, and leaves what is prepared to other sessions.
func (h *xaHistory) restart(t *testing.T, server *servers.Server) {
	t.Helper()
	for i := range h.open {
		h.open[i].conn.Close()
		h.open[i].conn = nil
	}
	if err := server.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.DB = connect(t, server.Address().DSN(h.schema))
	kept := h.open[:0:0]
	for _, b := range h.open { // MySQL 9.7 was seen to forget one of five
		if !slices.ContainsFunc(h.rows(t, "XA RECOVER"), func(row []string) bool { return strings.HasPrefix(b.id, "'"+strings.Split(row[3], " ")[0]+" ") }) {
			t.Logf("the server has lost %s", b.id)
			h.lost++
			continue
		}
		kept = append(kept, b)
	}
	h.open = kept
}

// brief writes changes as xaHistory expects them.
func brief(changes []cdc.Change) []string {
	var out []string
	for _, c := range changes {
		id := strings.TrimSuffix(strings.TrimPrefix(string(c.Key), `{"id":`), "}")
		text := string(c.Op) + " " + id
		if c.After != nil {
			_, v, _ := strings.Cut(string(c.After), `"v":"`)
			text += " " + strings.TrimSuffix(v, `"}`)
		}
		out = append(out, text)
	}
	return out
}

// TestXA: ordinary and XA transactions, committed, rolled back and in one phase, mixed at random, some of them open while the server
// restarts. The stream gives the rows of each at its commit, numbered from 0; and a stream that begins behind any of the transactions,
// with the position that the slices before it make, gives exactly the rest.
func TestXA(t *testing.T) {
	for _, tt := range []struct {
		name       string
		compressed bool
		edit       func(*binlog.Config)
	}{
		{"plain", false, func(*binlog.Config) {}},
		{"compressed", true, func(*binlog.Config) {}},
		{"spilled", false, func(c *binlog.Config) { c.SpillBytes, c.MaxSliceBytes = 1, 600 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, kind servers.Kind) { testXA(t, kind, tt.compressed, tt.edit) })
		})
	}
}

func testXA(t *testing.T, kind servers.Kind, compressed bool, edit func(*binlog.Config)) {
	var args []string
	if compressed {
		args = map[servers.Kind][]string{
			servers.MySQL:   {"--binlog-transaction-compression=ON"},
			servers.MariaDB: {"--log-bin-compress=ON", "--log-bin-compress-min-len=10"},
		}[kind]
	}
	server := private(t, kind, args...)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h := &xaHistory{database: open(t, server.Address(), "xa"), rnd: rand.New(rand.NewPCG(seed, 0))}
	h.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(300))")
	h.exec(t, "CREATE TABLE secret (id INT PRIMARY KEY)")
	from := h.executed(t)
	for range 25 {
		h.step(t)
	}
	for len(h.open) < 2 {
		h.step(t)
	}
	h.restart(t, server)
	for range 25 {
		h.step(t)
	}
	for len(h.open) == 0 {
		h.step(t)
	}
	for len(h.open) > 1 { // one stays open
		h.complete(t, 0, true)
	}
	until := h.executed(t)
	source := h.source(t, func(c *binlog.Config) { c.Filter.Exclude = []string{"xa.secret"} }, edit)
	all := read(t, source, from, until)
	if len(all) != len(h.want) {
		t.Fatalf("%d transactions, want %d", len(all), len(h.want))
	}
	opened := 0
	for i, tx := range all {
		if got, want := fmt.Sprint(brief(tx.changes)), fmt.Sprint(h.want[i]); got != want {
			t.Errorf("transaction %d (%s): got %s, want %s", i, tx.id, got, want)
		}
		for n, c := range tx.changes {
			if c.Row != uint64(n) {
				t.Errorf("transaction %d (%s): row %d has number %d", i, tx.id, n, c.Row)
			}
		}
		if tx.prepared != nil {
			opened++
		}
	}
	if opened < 5 {
		t.Errorf("only %d XA transactions", opened)
	}
	at, most := from, 0
	for i, tx := range all {
		at = behind(t, at, tx)
		most = max(most, len(at.Prepared))
		got := read(t, source, at, until)
		if len(got) != len(all)-i-1 {
			t.Fatalf("behind %s: %d transactions, want %d", tx.id, len(got), len(all)-i-1)
		}
		for j, g := range got {
			want := all[i+1+j]
			if g.id != want.id || fmt.Sprint(g.changes) != fmt.Sprint(want.changes) || g.completed != want.completed ||
				fmt.Sprint(g.prepared) != fmt.Sprint(want.prepared) || !g.time.Equal(want.time) {
				t.Fatalf("behind %s: got %+v, want %+v", tx.id, g, want)
			}
		}
	}
	t.Logf("%d transactions, up to %d prepared at a time", len(all), most)
	if len(at.Prepared) != 1+h.lost {
		t.Errorf("%d transactions are open in the end, want %d", len(at.Prepared), 1+h.lost)
	}
	if want := h.value(t, "SELECT COUNT(*) FROM a"); fmt.Sprint(len(finalRows(t, all))) != want {
		t.Errorf("%d rows are left of the stream's, %s in the table", len(finalRows(t, all)), want)
	}

	// What was prepared long ago and purged since cannot be committed any more.
	h.purge(t)
	_, err := source.Open(t.Context(), at)
	if !errors.Is(err, cdc.ErrPositionLost) {
		t.Errorf("a purged prepare: got %v, want ErrPositionLost", err)
	}
	h.testForgotten(t, source, at)
	at.Prepared = nil
	stream, err := source.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	h.complete(t, 0, true)
	for {
		slice, err := stream.Next(t.Context())
		if err == nil && slice.Completed == "" && len(slice.Changes) == 0 {
			continue // a grant
		}
		if err == nil || !strings.Contains(err.Error(), "XA PREPARE stands before") {
			t.Errorf("a commit of what the stream does not know: got %v, %v", slice, err)
		}
		return
	}
}

// testForgotten: what the server has not as prepared any more needs no binlog, where the account may ask; what it has does.
func (h *xaHistory) testForgotten(t *testing.T, source *binlog.Source, at cdc.Position) {
	t.Helper()
	forgotten := at
	forgotten.Prepared = nil
	for _, p := range at.Prepared {
		p.XID = "X'00ff27',X'ff',7"
		forgotten.Prepared = append(forgotten.Prepared, p)
	}
	stream, err := source.Open(t.Context(), forgotten)
	if h.kind == servers.MySQL {
		if !errors.Is(err, cdc.ErrPositionLost) {
			t.Errorf("a forgotten prepare, without XA_RECOVER_ADMIN: got %v, want ErrPositionLost", err)
		}
		h.exec(t, "GRANT XA_RECOVER_ADMIN ON *.* TO "+servers.CDCUser+"@'%'")
		if _, err := source.Open(t.Context(), at); !errors.Is(err, cdc.ErrPositionLost) {
			t.Errorf("a purged prepare, with XA_RECOVER_ADMIN: got %v, want ErrPositionLost", err)
		}
		stream, err = source.Open(t.Context(), forgotten)
	}
	if err != nil {
		t.Errorf("a forgotten prepare: %v", err)
		return
	}
	stream.Close()
	if horizon, err := source.Horizon(t.Context(), forgotten); err != nil || horizon.File != h.executed(t).File {
		t.Errorf("how long a forgotten prepare's position is kept: got %+v, %v", horizon, err)
	}
	if _, err := source.Horizon(t.Context(), at); !errors.Is(err, cdc.ErrPositionLost) {
		t.Errorf("how long a purged prepare is kept: got %v, want ErrPositionLost", err)
	}
}

// finalRows applies the changes one after the other, and checks that each fits.
func finalRows(t *testing.T, txs []transaction) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for _, c := range changes(txs) {
		apply(t, rows, &c)
	}
	return rows
}

// TestXADomains: a prepare in one of MariaDB's replication domains takes the stream back in that domain only.
func TestXADomains(t *testing.T) {
	d := open(t, private(t, servers.MariaDB).Address(), "xa")
	d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
	from := d.executed(t)
	conns := make([]*sql.Conn, 3)
	for i := range conns {
		conn, exec := d.session(t)
		defer conn.Close()
		conns[i] = conn
		exec(fmt.Sprintf("SET SESSION gtid_domain_id = %d", i))
		exec(fmt.Sprintf("INSERT INTO a VALUES (%d)", i))
		exec(fmt.Sprintf("XA START '%d'", i))
		exec(fmt.Sprintf("INSERT INTO a VALUES (%d)", 100+i))
		exec(fmt.Sprintf("XA END '%d'", i))
		exec(fmt.Sprintf("XA PREPARE '%d'", i))
		d.exec(t, fmt.Sprintf("INSERT INTO a VALUES (%d)", 10+i))
	}
	for i, conn := range conns {
		if _, err := conn.ExecContext(t.Context(), fmt.Sprintf("XA COMMIT '%d'", i)); err != nil {
			t.Fatal(err)
		}
	}
	until := d.executed(t)
	all := read(t, d.source(t), from, until)
	if len(all) != 12 || len(changes(all)) != 9 {
		t.Fatalf("%d transactions with %d changes, want 12 with 9", len(all), len(changes(all)))
	}
	at := from
	for i, tx := range all {
		at = behind(t, at, tx)
		got := read(t, d.source(t), at, until)
		if len(got) != len(all)-i-1 {
			t.Fatalf("behind %s: %d transactions, want %d", at.GTIDs, len(got), len(all)-i-1)
		}
		for j, g := range got {
			if want := all[i+1+j]; g.id != want.id || fmt.Sprint(g.changes) != fmt.Sprint(want.changes) {
				t.Errorf("behind %s: got %+v, want %+v", at.GTIDs, g, want)
			}
		}
	}
}

// TestBigXA: an XA transaction of 100,000 rows, some 30 MB, is prepared and committed within bounded memory.
func TestBigXA(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "bigxa")
		d.exec(t, "CREATE TABLE num (n INT PRIMARY KEY)")
		d.exec(t, "INSERT INTO num WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 999) SELECT n FROM c")
		d.exec(t, "CREATE TABLE item (id INT PRIMARY KEY, body VARCHAR(300) NOT NULL)")
		from := d.executed(t)
		const rows = 100_000
		conn, exec := d.session(t)
		defer conn.Close()
		exec("XA START 'big'")
		exec("INSERT INTO item SELECT a.n * 1000 + b.n, REPEAT(SHA2(a.n * 1000 + b.n, 256), 4) FROM num a, num b WHERE a.n < 100 ORDER BY 1")
		exec("XA END 'big'")
		exec("XA PREPARE 'big'")
		exec("XA COMMIT 'big'")
		stream, err := d.source(t, func(c *binlog.Config) { c.SpillBytes, c.SpillDir = 1<<20, t.TempDir() }).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		got, prepared, completed, peak := 0, 0, 0, uint64(0)
		for completed == 0 {
			slice, err := stream.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range slice.Changes {
				if want := fmt.Sprintf(`{"id":%d}`, got); c.Row != uint64(got) || string(c.Key) != want {
					t.Fatalf("row %d is %s, want %s", c.Row, c.Key, want)
				}
				got++
			}
			if slice.Prepared != nil {
				prepared++
			}
			if slice.Completed != "" {
				completed++
			}
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
		}
		t.Logf("heap %d MiB before, at most %d MiB", before.HeapInuse>>20, peak>>20)
		if got != rows || prepared != 1 {
			t.Errorf("got %d rows, %d prepares", got, prepared)
		}
		if peak > before.HeapInuse+40<<20 {
			t.Errorf("the heap grew from %d to %d MiB", before.HeapInuse>>20, peak>>20)
		}
	})
}

// TestSpillDirGone: a disk that cannot be written ends the stream with an error that says so.
func TestSpillDirGone(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "nodisk")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		dir := t.TempDir() + "/gone"
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		src := d.source(t, func(c *binlog.Config) { c.SpillBytes, c.SpillDir = 1, dir })
		from := d.executed(t)
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		stream, err := src.Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		conn, exec := d.session(t)
		defer conn.Close()
		exec("XA START 'x'")
		exec("INSERT INTO a VALUES (1)")
		exec("XA END 'x'")
		exec("XA PREPARE 'x'")
		defer exec("XA ROLLBACK 'x'")
		slice, err := stream.Next(t.Context())
		if err == nil || !strings.Contains(err.Error(), "spill") || !strings.Contains(err.Error(), dir) || errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("got %v, %v", slice, err)
		}
	})
}
