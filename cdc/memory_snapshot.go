package cdc

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// memoryRows are the rows of a [MemorySource]'s tables as of a transaction.
type memoryRows struct {
	number   int // of transactions they have
	tables   map[tableName]map[string][]byte
	known    map[tableName]*Table // as a row had it last
	prepared map[string][]Change
}

// apply executes a transaction's changes.
func (r *memoryRows) apply(tx *memoryTransaction) {
	r.number++
	changes := tx.changes
	switch {
	case tx.prepared != "":
		r.prepared[tx.prepared] = changes
		return
	case tx.completed != "":
		changes = r.prepared[tx.completed]
		delete(r.prepared, tx.completed)
		if tx.rollback {
			return
		}
	}
	for i := range changes {
		c := &changes[i]
		name := tableName{c.Table.Schema, c.Table.Name}
		if r.tables[name] == nil {
			r.tables[name] = map[string][]byte{}
		}
		rows := r.tables[name]
		r.known[name] = c.Table
		if c.OldKey != nil {
			delete(rows, string(c.OldKey))
		}
		if c.Op == Delete {
			delete(rows, string(c.Key))
		} else {
			rows[string(c.Key)] = c.After
		}
	}
	for i := range tx.schema {
		r.execute(&tx.schema[i])
	}
}

func (r *memoryRows) execute(c *SchemaChange) {
	name := tableName{c.Schema, c.Table}
	switch c.Op {
	case eventstore.SchemaTruncate:
		clear(r.tables[name])
	case eventstore.SchemaDrop:
		maps.DeleteFunc(r.tables, func(t tableName, _ map[string][]byte) bool { return t == name || c.Table == "" && t.schema == c.Schema })
	case eventstore.SchemaRename:
		if rows, ok := r.tables[name]; ok {
			to := tableName{c.ToSchema, c.ToTable}
			delete(r.tables, name)
			r.tables[to] = rows
			if t := r.known[name]; t != nil {
				renamed := *t
				renamed.Schema, renamed.Name = c.ToSchema, c.ToTable
				r.known[to] = &renamed
			}
		}
	case eventstore.SchemaCreate:
		if r.tables[name] == nil {
			r.tables[name] = map[string][]byte{}
		}
	}
}

func (r *memoryRows) clone() *memoryRows {
	c := &memoryRows{number: r.number, tables: map[tableName]map[string][]byte{}, known: maps.Clone(r.known), prepared: maps.Clone(r.prepared)}
	for name, rows := range r.tables {
		c.tables[name] = maps.Clone(rows)
	}
	return c
}

// Unsettle makes the source as unsure as a real server: what it has committed becomes visible to chunks late, and the places that it names
// with them are ahead of what they show, or wrong where a chunk may say so. rnd decides; nil ends it. Its use is guarded by the source.
func (s *MemorySource) Unsettle(rnd *rand.Rand) {
	s.lock()
	defer s.mu.Unlock()
	s.unsettled = rnd
}

// Refilter gives the source another filter. No stream of it may be open.
func (s *MemorySource) Refilter(filter Filter) error {
	if err := filter.Validate(); err != nil {
		return fmt.Errorf("memory source: %w", err)
	}
	s.lock()
	defer s.mu.Unlock()
	s.filter = filter
	return nil
}

// Filter returns the filter.
func (s *MemorySource) Filter() Filter { return s.filter }

// Tables returns the captured tables that have had rows and were not dropped.
func (s *MemorySource) Tables(context.Context) ([]TableSize, error) {
	s.lock()
	defer s.mu.Unlock()
	rows := s.at(len(s.transactions))
	var tables []TableSize
	for name, r := range rows.tables {
		if s.filter.Match(name.schema, name.table) {
			tables = append(tables, TableSize{name.schema, name.table, uint64(len(r))})
		}
	}
	slices.SortFunc(tables, func(a, b TableSize) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
	})
	return tables, nil
}

// at returns the rows after n transactions. It is called with mu held; the result must not be modified, nor kept.
func (s *MemorySource) at(n int) *memoryRows {
	if n < s.rows.number {
		n = s.rows.number
	}
	for s.rows.number < s.settled && s.rows.number < n {
		s.rows.apply(&s.transactions[s.rows.number])
	}
	if n == s.rows.number {
		return s.rows
	}
	if s.view == nil || s.view.number > n || s.view.number < s.rows.number {
		s.view = s.rows.clone()
	}
	for s.view.number < n {
		s.view.apply(&s.transactions[s.view.number])
	}
	return s.view
}

// OpenChunks returns a reader of chunks.
func (s *MemorySource) OpenChunks(context.Context) (ChunkReader, error) {
	return &memoryChunks{source: s}, nil
}

// memoryChunks reads chunks in the order of the keys' JSON.
type memoryChunks struct {
	source *MemorySource
}

// Close does nothing: a memory source never blocks.
func (r *memoryChunks) Close() error { return nil }

// Split divides a table into ranges of as many rows each.
func (r *memoryChunks) Split(_ context.Context, schema, table string, n int) ([]ChunkRange, error) {
	r.source.lock()
	defer r.source.mu.Unlock()
	rows, ok := r.source.at(len(r.source.transactions)).tables[tableName{schema, table}]
	if !ok {
		return nil, fmt.Errorf("%w: %s.%s", ErrNoTable, schema, table)
	}
	keys := slices.Sorted(maps.Keys(rows))
	ranges := []ChunkRange{{}}
	for i := 1; i < n && len(keys) > 0; i++ {
		bound, last := keys[i*len(keys)/n], &ranges[len(ranges)-1]
		if bound > last.After {
			last.Until = bound
			ranges = append(ranges, ChunkRange{After: bound})
		}
	}
	return ranges, nil
}

// Read reads a chunk. It takes no conditions.
func (r *memoryChunks) Read(ctx context.Context, req ChunkRequest) (*Chunk, error) {
	if req.Where != "" {
		return nil, fmt.Errorf("memory source: condition %q: it reads no SQL", req.Where)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	covers, err := req.Delivered.Contains()
	if err != nil {
		return nil, err
	}
	s := r.source
	s.lock()
	defer s.mu.Unlock()
	delivered := len(s.transactions)
	for ; delivered > 0; delivered-- {
		if had, err := covers(memoryGTID(delivered)); err != nil {
			return nil, err
		} else if had {
			break
		}
	}
	name := tableName{req.Schema, req.Table}
	if s.at(len(s.transactions)).tables[name] == nil {
		return nil, fmt.Errorf("%w: %s.%s", ErrNoTable, req.Schema, req.Table)
	}
	view, low, high := s.viewBehind(delivered)
	state := s.at(view)
	rows, ok := state.tables[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s.%s", ErrChunkStale, req.Schema, req.Table)
	}
	known := state.known[name]
	chunk := &Chunk{Table: known, Rest: req.Range, High: Coordinates{memoryUUID, memoryFile, uint64(high)}, Low: low}
	if s.unsettled != nil {
		chunk.Unseen = slices.Collect(maps.Keys(state.prepared))
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if key <= req.Range.After || req.Range.Until != "" && key > req.Range.Until {
			continue
		}
		image := rows[key]
		if len(chunk.Rows) > 0 && (len(chunk.Rows) == req.MaxRows || size+len(key)+len(image) > req.MaxBytes) {
			return chunk, nil
		}
		size += len(key) + len(image)
		chunk.Rows = append(chunk.Rows, Change{Table: known, Op: Read, Key: []byte(key), After: image})
		chunk.Rest.After = key
	}
	chunk.Done = true
	return chunk, nil
}

// viewBehind chooses what a chunk shows, that has to show what was delivered, and the places it names.
func (s *MemorySource) viewBehind(delivered int) (view int, low *Coordinates, high int) {
	n := len(s.transactions)
	s.shown = max(s.shown, s.rows.number)
	s.settled = max(s.settled, delivered-memoryLag)
	rnd := s.unsettled
	if rnd == nil || n == s.shown {
		return n, nil, n
	}
	between := func(from, to int) int { return from + rnd.IntN(to-from+1) }
	oldest := max(delivered, s.shown)
	defer func() { s.shown = max(s.shown, view) }()
	if delivered > s.shown && s.transactions[delivered-1].completed != "" && rnd.IntN(2) == 0 {
		return delivered - 1, nil, between(delivered, n) // an XA COMMIT that was delivered is not to be seen, and its XID is
	}
	switch rnd.IntN(4) {
	case 0: // a place that a view may well not cover: no transaction ends there
		view = between(max(s.shown, delivered-memoryLag), n)
		low = &Coordinates{memoryUUID, memoryFile + ".rotated", 4}
		return view, low, n
	case 1, 2: // a place that it covers
		at := between(oldest, n)
		low = &Coordinates{memoryUUID, memoryFile, uint64(at)}
		view = between(at, n)
	default:
		view = between(oldest, n)
	}
	return view, low, between(view, n)
}

// memoryLag is how many transactions a chunk may lack at most of what was delivered, where it says so.
const memoryLag = 8
