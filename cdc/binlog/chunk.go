package binlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/millrace-go/millrace/cdc"
)

var _ cdc.SnapshotSource = (*Source)(nil)

// OpenChunks connects to the server, or to the first of several that answers. It refuses a MariaDB server with
// binlog_optimize_thread_scheduling OFF, of which nothing says what it has committed.
func (s *Source) OpenChunks(ctx context.Context) (cdc.ChunkReader, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) (cdc.ChunkReader, error) { return one.OpenChunks(ctx) })
	}
	r := &chunkReader{cfg: &s.cfg, walks: map[string]*walk{}}
	r.closed, r.end = context.WithCancelCause(context.Background())
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// chunkReader is a cdc.ChunkReader: a connection, and a transaction for each chunk.
type chunkReader struct {
	cfg      *Config
	conn     *conn // nil after an error: the next call connects again
	server   string
	charsets *charsets
	heads    fileHeads
	walks    map[string]*walk // by table
	rows     []chunkRow
	last     []byte // of the last of them, the values of its bound

	closed context.Context
	end    context.CancelCauseFunc
	mu     sync.Mutex // held by a call, and by Close at last
}

// chunkRow is a row whose parts are still places in the chunk's buffer.
type chunkRow struct{ key, image span }

var errReaderClosed = fmt.Errorf("chunk reader is closed: %w", cdc.ErrUnavailable)

// chunkTimeout bounds each answer besides the rows themselves: under load a server may take its time to say how far its binlog is.
const chunkTimeout = time.Minute

// maxWalks bounds what a reader remembers of tables.
const maxWalks = 64

// Close ends the connection. A call that is under way returns.
func (r *chunkReader) Close() error {
	r.end(errReaderClosed)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	return nil
}

// drop ends the connection, and the transaction with it.
func (r *chunkReader) drop() {
	if r.conn != nil {
		r.conn.socket.Close()
		r.conn = nil
	}
}

// begin is called at the head of each call: it connects where that is needed. The context that it returns ends with Close, too.
func (r *chunkReader) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	r.mu.Lock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.closed, func() { cancel(errReaderClosed) })
	end = func() {
		stop()
		cancel(nil)
		r.mu.Unlock()
	}
	if r.closed.Err() != nil {
		end()
		return nil, nil, errReaderClosed
	}
	if r.conn == nil {
		if err := r.connect(ctx); err != nil {
			end()
			return nil, nil, err
		}
	}
	return ctx, end, nil
}

func (r *chunkReader) connect(ctx context.Context) error {
	c, err := connect(ctx, r.cfg)
	if err != nil {
		return err
	}
	if err := r.prepare(ctx, c); err != nil {
		c.socket.Close()
		return err
	}
	r.conn, r.heads = c, fileHeads{}
	return nil
}

// prepare sets the session up: one view for a transaction, and no timeout that is shorter than a chunk.
func (r *chunkReader) prepare(ctx context.Context, c *conn) error {
	if err := c.prepareSelect(ctx); err != nil {
		return err
	}
	settings := "SET SESSION lock_wait_timeout = 5, net_write_timeout = 600, wait_timeout = 28800, "
	if c.flavor == MariaDB {
		on, err := c.value(ctx, "SELECT @@GLOBAL.binlog_optimize_thread_scheduling")
		if err != nil {
			return err
		}
		if on != "1" {
			return fmt.Errorf("open chunk reader at %s: binlog_optimize_thread_scheduling is OFF, with which the server does not know what it has committed. "+
				"Fix: %s", c.cfg.Addr, fixScheduling)
		}
		settings += "tx_isolation = 'REPEATABLE-READ', idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0"
	} else {
		settings += "transaction_isolation = 'REPEATABLE-READ'"
	}
	if _, err := c.query(ctx, settings); err != nil {
		return err
	}
	names, err := c.collations(ctx)
	if err != nil {
		return err
	}
	r.charsets = newCharsets(names)
	r.server, err = c.identity(ctx)
	c.socket.timeout = chunkTimeout
	return err
}

// walk returns how a table is walked through.
func (r *chunkReader) walk(ctx context.Context, schema, table string) (*walk, error) {
	name := quote(schema) + "." + quote(table)
	if w := r.walks[name]; w != nil {
		return w, nil
	}
	w, err := r.conn.newWalk(ctx, schema, table, r.charsets)
	if err != nil {
		return nil, chunkError(err)
	}
	if len(r.walks) >= maxWalks {
		clear(r.walks)
	}
	r.walks[name] = w
	return w, nil
}

// Read implements [cdc.ChunkReader].
func (r *chunkReader) Read(ctx context.Context, req cdc.ChunkRequest) (*cdc.Chunk, error) {
	if req.MaxRows < 1 || req.MaxBytes < 1 {
		return nil, fmt.Errorf("read chunk of %s.%s: at most %d rows and %d bytes, want positive numbers", req.Schema, req.Table, req.MaxRows, req.MaxBytes)
	}
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	chunk, err := r.read(ctx, req)
	if errors.Is(err, cdc.ErrChunkBounds) { // perhaps of what this reader knew of the table, and another one did not
		clear(r.walks)
		chunk, err = r.read(ctx, req)
	}
	for errors.Is(err, errTooWide) { // once more, with fewer rows: one is never too wide
		r.drop()
		if err = r.connect(ctx); err == nil {
			chunk, err = r.read(ctx, req)
		}
	}
	if err != nil {
		r.drop()
		if errors.Is(err, cdc.ErrChunkStale) || errors.Is(err, cdc.ErrNoTable) {
			clear(r.walks)
		}
		return nil, fmt.Errorf("read chunk of %s.%s: %w", req.Schema, req.Table, err)
	}
	return chunk, nil
}

func (r *chunkReader) read(ctx context.Context, req cdc.ChunkRequest) (*cdc.Chunk, error) {
	w, err := r.walk(ctx, req.Schema, req.Table)
	if err != nil {
		return nil, err
	}
	condition, err := w.condition(req.Range)
	if err != nil {
		return nil, err
	}
	chunk := &cdc.Chunk{Table: w.sel.table.public, Shared: w.shared}
	if chunk.Low, chunk.Unseen, err = r.awaitVisible(ctx, req.Delivered); err != nil {
		return nil, err
	}
	if _, err := r.conn.query(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return nil, err
	}
	if err := r.readRows(ctx, w, req, condition, chunk); err != nil {
		return nil, r.rowsError(ctx, w, req, err)
	}
	if err := r.finish(ctx, w, req, chunk); err != nil {
		return nil, chunkError(err)
	}
	_, err = r.conn.query(ctx, "COMMIT")
	return chunk, err
}

// finish asks what belongs to the rows, while the transaction still keeps the table's definition as it is: that the definition is the
// walk's, and how far the binlog is. What the transaction has seen, also of a table without transactions, lies before that place, and
// so does every change of the definition.
func (r *chunkReader) finish(ctx context.Context, w *walk, req cdc.ChunkRequest, chunk *cdc.Chunk) error {
	definition, err := r.conn.showCreate(ctx, req.Schema, req.Table)
	if err != nil {
		return err
	}
	if definition != w.definition {
		return cdc.ErrChunkStale
	}
	row, err := r.conn.row(ctx, r.conn.statusQuery())
	if err != nil {
		return err
	}
	chunk.High = cdc.Coordinates{Server: r.server, File: row["file"]}
	if chunk.High.Offset, err = strconv.ParseUint(row["position"], 10, 64); err != nil {
		return fmt.Errorf("%s at %s: position %q: %w", r.conn.statusQuery(), r.cfg.Addr, row["position"], err)
	}
	return nil
}

// chunkError tells what becomes of a chunk after an error of the server.
func chunkError(err error) error {
	e, ok := errors.AsType[*mysql.MyError](err)
	switch {
	case errors.Is(err, errResultChanged), ok && (e.Code == codeTableChanged || e.Code == codeUnknownColumn):
		return fmt.Errorf("%w: %w", cdc.ErrChunkStale, err)
	case ok && (e.Code == codeNoTable || e.Code == codeNoSchema):
		return fmt.Errorf("%w: %w", cdc.ErrNoTable, err)
	}
	return err
}

// rowsError is chunkError for what may also be wrong with a condition: a name that does not exist is one of the condition's, as long as the
// table's definition is the walk's.
func (r *chunkReader) rowsError(ctx context.Context, w *walk, req cdc.ChunkRequest, err error) error {
	stale := chunkError(err)
	named := errors.Is(stale, cdc.ErrChunkStale) || errors.Is(stale, cdc.ErrNoTable)
	if e, ok := errors.AsType[*mysql.MyError](err); !ok || req.Where == "" || e.Code == codeTableChanged || !named {
		return stale
	}
	if now, failed := r.conn.showCreate(ctx, req.Schema, req.Table); failed != nil || now != w.definition {
		return stale
	}
	return fmt.Errorf("the request's condition: %w", err)
}

// errTooWide says that the rows were so wide that the rest of the result was not worth waiting for. The walk has a limit now.
var errTooWide = errors.New("far more bytes than a chunk may have")

// readRows reads the rows of a chunk.
func (r *chunkReader) readRows(ctx context.Context, w *walk, req cdc.ChunkRequest, condition string, chunk *cdc.Chunk) error {
	limit := req.MaxRows
	if w.limit > 0 {
		limit = min(limit, w.limit)
	}
	until := req.Range.Until
	if req.Where != "" {
		scanned, err := r.scanned(ctx, w, condition, limit)
		if err != nil {
			return err
		}
		if scanned != "" {
			until = scanned
			if condition, err = w.condition(cdc.ChunkRange{After: req.Range.After, Until: until}); err != nil {
				return err
			}
		}
		if condition != "" {
			condition += " AND "
		}
		condition += "(" + req.Where + "\n)" // which may end with a comment
	}
	buf := buffer{json: make([]byte, 0, w.bytes+w.bytes/8)}
	n, err := r.scan(ctx, w, req.MaxBytes, w.rest(condition, limit), &buf)
	if err != nil {
		return err
	}
	chunk.Rows = make([]cdc.Change, len(r.rows))
	for i, row := range r.rows {
		chunk.Rows[i] = cdc.Change{Table: chunk.Table, Op: cdc.Read, Row: uint64(i), Key: buf.bytes(row.key), After: buf.bytes(row.image)}
	}
	w.bytes = min(len(buf.json), req.MaxBytes)
	switch {
	case n == limit || n > len(r.rows):
		bound, err := w.bound(r.last)
		if err != nil {
			return err
		}
		chunk.Rest = cdc.ChunkRange{After: string(bound), Until: req.Range.Until}
	case until != req.Range.Until:
		chunk.Rest = cdc.ChunkRange{After: until, Until: req.Range.Until}
	}
	chunk.Done = chunk.Rest.After == "" || chunk.Rest.After == chunk.Rest.Until
	if chunk.Done {
		chunk.Rest = cdc.ChunkRange{}
	}
	if len(r.rows) < n { // it was full before its rows were all there
		w.limit = len(r.rows)
	} else if n == limit && len(buf.json) < req.MaxBytes/2 && w.limit > 0 {
		w.limit *= 2
	}
	return nil
}

// scan reads rows into r.rows until there are no more or the next one would be too much, and returns how many it has seen.
func (r *chunkReader) scan(ctx context.Context, w *walk, maxBytes int, rest string, buf *buffer) (n int, err error) {
	result, err := r.conn.selectRows(ctx, w.sel, rest)
	if err != nil {
		return 0, err
	}
	defer result.close()
	r.rows = r.rows[:0]
	for {
		start := len(buf.json)
		key, image, err := result.next(buf)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		n++
		if len(buf.json) > maxBytes && len(r.rows) > 0 {
			buf.json = buf.json[:start]
			if err := result.pass(maxBytes); err != nil {
				if errors.Is(err, errTooWide) {
					w.limit = len(r.rows)
				}
				return 0, err
			}
			return n, nil
		}
		r.rows = append(r.rows, chunkRow{key, image})
		r.last = append(r.last[:0], result.also...)
	}
}

// pass passes over what is left of the result, unless it is more than some bytes.
func (r *result) pass(most int) error {
	for {
		if err := r.read(); err != nil {
			return r.failed(err)
		}
		if isEOF(r.packet.Bytes()) {
			return nil
		}
		if most -= r.packet.Len(); most < 0 {
			return errTooWide
		}
	}
}

// scannedRows is how many rows the server may have to look at for each that a condition might take.
const scannedRows = 10

// scanned returns where a chunk with a condition ends at the latest: few rows may meet it, and a transaction must be short. Empty: at
// the end of the range.
func (r *chunkReader) scanned(ctx context.Context, w *walk, condition string, limit int) (string, error) {
	list := make([]string, len(w.parts))
	for i := range w.parts {
		list[i] = w.parts[i].value
	}
	if condition != "" {
		condition = " WHERE " + condition
	}
	defer r.conn.patient()()
	result, err := r.conn.query(ctx, fmt.Sprintf("SELECT %s FROM %s.%s %s%s%s LIMIT 1 OFFSET %d", strings.Join(list, ", "), quote(w.sel.table.schema), quote(w.sel.table.name),
		w.hint, condition, w.orderBy(), limit*scannedRows-1))
	if err != nil {
		return "", err
	}
	if result.RowNumber() == 0 {
		return "", nil
	}
	bound, err := w.bound(result.RowDatas[0])
	return string(bound), err
}
