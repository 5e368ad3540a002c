package binlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/gtid"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestChunksUnderLoad: what the chunks of several readers promise while others write, against the state that the stream itself gives.
// A chunk is asked for as soon as a transaction was delivered, and put at the first place behind High or a later one. Rows whose keys
// the transactions between Low and that place have are left out; every other row must be as the table was there, and none may be missing.
//
//	CHUNKS=5000 SEED=n go test -v -run ChunksUnderLoad ./binlog
//
// With -tags millrace_nowait (MySQL) or millrace_nolow (MariaDB) it must fail: see `make verify-snapshot`.
func TestChunksUnderLoad(t *testing.T) {
	seed, chunks := number(t, "SEED", rand.Uint64()), int(number(t, "CHUNKS", 300))
	t.Logf("seed %d", seed)
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "chunkload")
		before := d.value(t, "SELECT @@GLOBAL.max_binlog_size")
		d.exec(t, "SET GLOBAL max_binlog_size = 16384") // files that end behind a few commits
		t.Cleanup(func() { d.exec(t, "SET GLOBAL max_binlog_size = "+before) })
		l := &chunkLoad{d: d, rows: map[string]string{}}
		l.fill(t)
		from := d.executed(t)
		stream, err := d.source(t).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		stream.(cdc.MarkedStream).Marks(true)
		l.delivered, l.changed = from, make(chan struct{})

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var writers, readers, follower sync.WaitGroup
		follower.Go(func() { l.follow(t, stream) })
		for i := range 6 {
			writers.Go(func() { l.write(ctx, t, rand.New(rand.NewPCG(seed, uint64(i)))) })
		}
		for i := range 3 {
			readers.Go(func() { l.read(t, rand.New(rand.NewPCG(seed, uint64(100+i))), chunks/3) })
		}
		readers.Wait()
		cancel()
		writers.Wait()
		l.finish(t, d.executed(t))
		follower.Wait()
		l.check(t, rand.New(rand.NewPCG(seed, 1000)))
	})
}

const loadKeys = 1500

// chunkLoad is a table that is written, followed and read.
type chunkLoad struct {
	d    *database
	rows map[string]string // by key, before all transactions

	mu           sync.Mutex
	transactions []loadTransaction
	delivered    cdc.Position
	until        *gtid.Set
	changed      chan struct{} // closed at each transaction
	chunks       []loadChunk
}

type loadTransaction struct {
	place     cdc.Coordinates
	completed string
	changes   []loadChange
}

type loadChange struct{ key, old, image string }

// loadChunk is what was read when the first n transactions had been delivered.
type loadChunk struct {
	n     int
	chunk *cdc.Chunk
	req   cdc.ChunkRequest
}

func (l *chunkLoad) fill(t *testing.T) {
	l.d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v INT NOT NULL, note VARCHAR(20))")
	var values []string
	for id := range loadKeys {
		if id%2 == 0 {
			values = append(values, fmt.Sprintf("(%d, %d, NULL)", id, id))
		}
	}
	l.d.exec(t, "INSERT INTO a VALUES "+strings.Join(values, ", "))
	for _, row := range selectAll(t, l.d.source(t), l.d.schema, "a", "") {
		l.rows[row[0]] = row[1]
	}
}

// write changes rows until the context ends.
func (l *chunkLoad) write(ctx context.Context, t *testing.T, rnd *rand.Rand) {
	conn, err := l.d.Conn(context.Background())
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	name := fmt.Sprintf("'w%d'", rnd.Uint64())
	for n := 0; ctx.Err() == nil; n++ {
		id := func() int { return rnd.IntN(loadKeys) }
		one := func() string {
			switch rnd.IntN(6) {
			case 0:
				return fmt.Sprintf("INSERT IGNORE INTO a VALUES (%d, %d, 'new')", id(), rnd.IntN(1000))
			case 1:
				return fmt.Sprintf("DELETE FROM a WHERE id = %d", id())
			case 2:
				return fmt.Sprintf("UPDATE IGNORE a SET id = %d, v = v + 1 WHERE id = %d", id(), id())
			case 3:
				return fmt.Sprintf("REPLACE INTO a VALUES (%d, %d, 'replaced')", id(), rnd.IntN(1000))
			}
			return fmt.Sprintf("UPDATE a SET v = v + 1 WHERE id BETWEEN %d AND %[1]d + 2", id())
		}
		var statements []string
		switch kind := rnd.IntN(100); {
		case kind == 0 && l.d.kind == servers.MariaDB || kind < 2:
			statements = []string{"FLUSH BINARY LOGS"}
		case kind < 10:
			statements = []string{"XA START " + name, one(), "XA END " + name, "XA PREPARE " + name, "XA COMMIT " + name}
		case kind < 20:
			statements = []string{"BEGIN", one(), one(), one(), []string{"COMMIT", "ROLLBACK"}[rnd.IntN(2)]}
		default:
			statements = []string{one()}
		}
		for i, s := range statements {
			if _, err := conn.ExecContext(context.Background(), s); err == nil {
				continue
			} else if !strings.Contains(err.Error(), "Deadlock") && !strings.Contains(err.Error(), "XA_RB") && !strings.Contains(err.Error(), "XAER") {
				t.Errorf("%s: %v", s, err)
				return
			}
			if len(statements) > 1 { // a deadlock
				_, _ = conn.ExecContext(context.Background(), "ROLLBACK")
				if i > 0 && statements[0] != "BEGIN" {
					_, _ = conn.ExecContext(context.Background(), "XA END "+name)
					_, _ = conn.ExecContext(context.Background(), "XA ROLLBACK "+name)
				}
			}
			break
		}
	}
}

// follow collects what the stream has, until everything.
func (l *chunkLoad) follow(t *testing.T, stream cdc.Stream) {
	set, err := gtid.Parse(l.delivered.Flavor, l.delivered.GTIDs)
	if err != nil {
		t.Error(err)
		return
	}
	var tx loadTransaction
	var passed cdc.Coordinates
	for {
		slice, err := stream.Next(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		place := cdc.Coordinates{Server: slice.Server, File: slice.File, Offset: slice.Offset}
		if slice.ID == "" {
			if place.Compare(passed) < 0 {
				t.Errorf("a mark at %v behind %v", place, passed)
			}
			passed = place
			continue
		}
		for _, c := range slice.Changes {
			change := loadChange{key: string(c.Key), image: string(c.After)}
			if change.old = string(c.OldKey); c.Op == cdc.Update && c.OldKey == nil {
				change.old = change.key
			}
			tx.changes = append(tx.changes, change)
		}
		if !slice.Last {
			continue
		}
		if place.Compare(passed) <= 0 {
			t.Errorf("a transaction that ends at %v, behind %v", place, passed)
		}
		passed = place
		tx.place, tx.completed = place, slice.Completed
		if err := set.Add(slice.ID); err != nil {
			t.Error(err)
			return
		}
		l.mu.Lock()
		l.transactions = append(l.transactions, tx)
		l.delivered.GTIDs, l.delivered.Server, l.delivered.File, l.delivered.Offset = set.String(), place.Server, place.File, place.Offset
		close(l.changed)
		l.changed = make(chan struct{})
		done := l.until != nil && set.Contains(l.until)
		l.mu.Unlock()
		if tx = (loadTransaction{}); done {
			return
		}
	}
}

// finish makes the follower stop when it has all up to a position, to which it adds a transaction.
func (l *chunkLoad) finish(t *testing.T, until cdc.Position) {
	set, err := gtid.Parse(until.Flavor, until.GTIDs)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.until = set
	l.mu.Unlock()
	l.d.exec(t, "UPDATE a SET v = v + 1 LIMIT 1")
}

// read reads chunks, each as soon as a transaction was delivered.
func (l *chunkLoad) read(t *testing.T, rnd *rand.Rand, n int) {
	r, err := l.d.source(t).OpenChunks(context.Background())
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	var rest cdc.ChunkRange
	for range n {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		<-changed
		l.mu.Lock()
		req := cdc.ChunkRequest{Schema: l.d.schema, Table: "a", Range: rest, MaxRows: []int{10, 100, 1000, 5000}[rnd.IntN(4)], MaxBytes: 1 << 20, Delivered: l.delivered}
		c := loadChunk{n: len(l.transactions), req: req}
		l.mu.Unlock()
		if c.chunk, err = r.Read(context.Background(), req); err != nil {
			t.Error(err)
			return
		}
		rest = c.chunk.Rest
		l.mu.Lock()
		l.chunks = append(l.chunks, c)
		l.mu.Unlock()
	}
}

// check compares the chunks with the states at their places.
func (l *chunkLoad) check(t *testing.T, rnd *rand.Rand) {
	type placed struct {
		loadChunk
		low, at int // how many transactions lie before Low, and before its place
	}
	var list []placed
	dropped := 0
	for _, c := range l.chunks {
		p := placed{loadChunk: c, low: c.n}
		if low := c.chunk.Low; low != nil {
			i := slices.IndexFunc(l.transactions, func(tx loadTransaction) bool { return tx.place == *low })
			if i < 0 {
				dropped++
				continue
			}
			if p.low = i + 1; p.low <= c.n {
				t.Errorf("Low is %v, which was delivered", *low)
			}
		}
		for p.at = c.n; p.at < len(l.transactions) && (p.at == 0 || l.transactions[p.at-1].place.Compare(c.chunk.High) < 0); {
			p.at++
		}
		p.at = min(p.at+rnd.IntN(2)*rnd.IntN(50), len(l.transactions))
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b placed) int { return a.at - b.at })
	applied, window, wrong := 0, 0, 0
	for _, p := range list {
		for ; applied < p.at; applied++ {
			for _, c := range l.transactions[applied].changes {
				delete(l.rows, c.old)
				if l.rows[c.key] = c.image; c.image == "" {
					delete(l.rows, c.key)
				}
			}
		}
		told := map[string]bool{}
		for i, tx := range l.transactions[:p.at] {
			if i >= p.low || tx.completed != "" && slices.Contains(p.chunk.Unseen, tx.completed) {
				for _, c := range tx.changes {
					told[c.key], told[c.old] = true, true
				}
			}
		}
		window += p.at - p.low
		bad := 0
		got := map[string]bool{}
		for _, row := range p.chunk.Rows {
			key := string(row.Key)
			if got[key] = true; !told[key] && l.rows[key] != string(row.After) {
				bad++
			}
		}
		for key := range l.rows {
			if !told[key] && !got[key] && between(t, key, p.req.Range.After, p.chunk) {
				bad++
			}
		}
		if bad > 0 {
			wrong++
		}
	}
	fmt.Printf("%s: chunks %d discarded %d wrong %d; %d transactions, %.1f in a window\n", l.d.kind, len(l.chunks), dropped, wrong, len(l.transactions), float64(window)/float64(max(len(list), 1)))
	if wrong > 0 {
		t.Errorf("%d of %d chunks are wrong", wrong, len(list))
	}
	if len(list) < len(l.chunks)/2 {
		t.Errorf("of %d chunks %d are worth nothing", len(l.chunks), dropped)
	}
}

// between tells whether a chunk should have a key.
func between(t *testing.T, key, after string, chunk *cdc.Chunk) bool {
	id, err := strconv.Atoi(strings.Trim(key, `{"id:}`))
	if err != nil {
		t.Fatal(err)
	}
	value := func(bound string) int {
		_, text, _ := strings.Cut(bound, ":")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return (after == "" || id > value(after)) && (chunk.Done || id <= value(chunk.Rest.After))
}
