package projector

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// commitChanges is after how many changes, or rows that their walks have passed, the local state commits at the latest, also within a transaction or a walk:
// to apply a change again does no harm, and nothing is built before the transaction's end.
const commitChanges = 10_000

// joinSettings are the numbers of a [Join].
type joinSettings struct {
	spreadAbove, bytesPerSecond, cacheBytes int
	exactKeys                               bool
}

// joinEngine is a [Join] at work. Files: join_engine.go (its life), join_change.go (a change comes in), join_walk.go (which documents it concerns), join_flush.go,
// join_spread.go and join_park.go (documents go out, or not), join_rows.go, join_cache.go and join_parts.go (what builds read).
//
// Invariants: the state holds the rows as they are after every change with csn <= e.csn that was handed over; a document that is not
// in the sink as the state has it is in dirty, or marked in the state (and then spread is on), or its change is at or below the floor.
type joinEngine struct {
	loop     *loop
	state    LocalState
	settings joinSettings
	*joinPlan
	meta   joinMeta
	mark   string // of splices
	seed   maphash.Seed
	rows   []*cache[storedRow] // by table
	found  []*cache[[][]byte]  // by index: the keys of the rows that were found, where they are few
	docs   *cache[docRecord]
	loose  []bool // parts that have pieces of their own in the state
	byName map[table]*planTable

	// floor is what the sink has everything of: the progress at the start. Changes at or below it concern no document.
	floor   eventstore.CSN
	advised bool // to use parts
	// noted is the first change since which something is noted of rows that is to be looked at before documents are there: columns that they lack, keys that
	// differ in spelling only. 0 when there is nothing.
	noted eventstore.CSN
	// most is how many documents wait for their window's end: those of a transaction that concerns more are spread.
	most int
	// virgin says that nothing was ever built from this state: what is kept of builds need not be looked for.
	virgin      bool
	csn, whole  eventstore.CSN // the transaction of the last change; the last whole one before it
	place       eventstore.Place
	uncommitted int

	walk  walk
	dirty map[string]*dirtyDoc // by the root's key
	order []*dirtyDoc          // in the order of their first change
	spread
	parking
	large map[string]largeDoc
	sent  map[string]*sentDoc // by id, while they are on their way
	image []byte
	spare [][]byte
}

// joinMeta says what a local state is of.
type joinMeta struct {
	Format     int            `json:"format"`
	LogID      string         `json:"log"`
	Target     string         `json:"target"`
	Generation uint64         `json:"generation"`
	Definition string         `json:"definition"` // of the projector's Version and the shape of its tables
	CSN        eventstore.CSN `json:"csn"`        // every transaction up to it is in the state
	Recorded   int            `json:"recorded"`   // free reads
	Coarse     bool           `json:"coarse"`     // some are of whole tables
	// Broken is the change that a group has ended in the middle of.
	Broken *eventstore.Place `json:"broken,omitempty"`
	// Short counts the rows that lack columns, by table.
	Short map[int]*shortRows `json:"short,omitempty"`
}

const joinFormat = 3

// newMark returns a text that no row holds.
func newMark() string { return rand.Text() }

// openJoin opens the local state, or begins it anew where it is not the one of this read model, and finds out which documents have to be written.
func openJoin(ctx context.Context, l *loop, plan *joinPlan, settings joinSettings, progress eventstore.CSN) (_ *joinEngine, err error) {
	e := &joinEngine{loop: l, joinPlan: plan, settings: settings, mark: newMark(), seed: maphash.MakeSeed(), floor: progress, most: max(l.cfg.WindowTargets, settings.spreadAbove),
		loose: make([]bool, len(plan.parts)), byName: map[table]*planTable{}, dirty: map[string]*dirtyDoc{}, large: map[string]largeDoc{},
		sent: map[string]*sentDoc{}, walk: walk{seen: map[string]bool{}}}
	budget := &cacheBudget{limit: settings.cacheBytes / 2}
	for _, t := range plan.tables {
		e.byName[t.table] = t
		e.rows = append(e.rows, newCache[storedRow](budget))
	}
	for range plan.indexes {
		e.found = append(e.found, newCache[[][]byte](budget))
	}
	e.docs = newCache[docRecord](budget)
	if err := e.openState(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.state.Close())
		}
	}()
	e.csn, e.whole, e.virgin = e.meta.CSN, e.meta.CSN, e.meta.CSN == 0
	if plan.free() {
		e.floor = min(e.floor, e.meta.CSN) // what was read freely between them is not known
	}
	for i := range plan.parts {
		low, high := prefix(e.pieceKey(nil, i, nil))
		if err := e.state.Scan(low, high, func(_, _ []byte) bool { e.loose[i] = true; return false }); err != nil {
			return nil, err
		}
	}
	return e, errors.Join(e.findNotes(), e.findUnwritten())
}

// openState opens a state with the right meta record.
func (e *joinEngine) openState(ctx context.Context) error {
	l, states := e.loop, e.loop.cfg.States
	want := joinMeta{Format: joinFormat, LogID: l.logID, Target: l.def.target.Sink + "/" + l.def.target.Name, Generation: l.generation, Definition: e.fingerprint()}
	state, err := states.Open(ctx, l.def.name)
	if err == nil {
		e.state = state
		var why string
		if why, err = e.readMeta(want); err == nil && why == "" {
			return nil
		}
		if why != "" {
			l.log.Warn("projector builds its local state anew", "because", why)
		}
		err = errors.Join(err, state.Close())
	}
	if err != nil && !errors.Is(err, ErrStateLost) {
		return fmt.Errorf("open local state: %w", err)
	} else if err != nil {
		l.log.Warn("projector builds its local state anew", "err", err)
	}
	if err := states.Remove(ctx, l.def.name); err != nil {
		return fmt.Errorf("remove local state: %w", err)
	}
	if e.state, err = states.Open(ctx, l.def.name); err != nil {
		return fmt.Errorf("open local state: %w", err)
	}
	e.meta = want
	return nil
}

// readMeta reads what the state is of, and says why it is not the wanted one.
func (e *joinEngine) readMeta(want joinMeta) (why string, err error) {
	text, found, err := e.state.Get(metaKey)
	if err != nil {
		return "", err
	}
	if !found {
		empty := true
		if err := e.state.Scan([]byte{0}, []byte{0xff}, func(_, _ []byte) bool { empty = false; return false }); err != nil {
			return "", err
		}
		if e.meta = want; empty {
			return "", nil
		}
		return "it does not say what it is of", nil
	}
	if err := json.Unmarshal(text, &e.meta); err != nil {
		return "its description cannot be read", nil //nolint:nilerr // the state is built anew
	}
	m := e.meta
	switch {
	case m.Format != want.Format:
		return "it has another format", nil
	case m.LogID != want.LogID && safeguard.LogIdentity:
		return "it is of another log", nil
	case m.Target != want.Target || m.Generation != want.Generation:
		return "it is of another read model, or another generation of it", nil
	case m.Definition != want.Definition:
		return "it is of another definition", nil
	case m.CSN > e.loop.headAtStart:
		return "it is ahead of the log", nil
	}
	return "", nil
}

// fingerprint identifies what the state's content depends on.
func (e *joinEngine) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "version %d %t\n", e.loop.def.version, e.settings.exactKeys)
	for _, t := range e.tables {
		fmt.Fprintf(h, "table %s %t %d %d\n", t.shape, t.free, len(t.found), t.parts)
	}
	for _, edge := range e.edges {
		fmt.Fprintf(h, "relation %s %s %t %t\n", edge.from, edge.to, edge.fromIndex != nil, edge.toIndex != nil)
	}
	for _, ix := range e.indexes {
		fmt.Fprintf(h, "index %s %t\n", ix.table, ix.order != nil)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (e *joinEngine) after() eventstore.CSN { return e.meta.CSN }

// pending counts what is noted as one: until it is looked at, a document may lack a row. While the log's end is not reached the log may mend it yet.
func (e *joinEngine) pending() int {
	if e.noted > 0 && !e.loop.catchingUp() {
		return len(e.order) + 1
	}
	return len(e.order)
}

// note says that the change at hand has left something to be looked at.
func (e *joinEngine) note() {
	if e.noted == 0 {
		e.noted = e.csn
	}
}

// findNotes finds out whether the state has notes that were not looked at.
func (e *joinEngine) findNotes() error {
	suspect, _, err := e.firstSuspect()
	if suspect != nil || len(e.meta.Short) > 0 {
		e.noted = e.floor + 1
	}
	return err
}

// checkNotes fails when documents would be wrong by what is noted, and forgets it.
func (e *joinEngine) checkNotes() error {
	if err := errors.Join(e.checkShort(), e.checkSpelling()); err != nil {
		return err
	}
	e.noted = 0
	return nil
}

// commit ends a group of the local state, in which everything up to csn was applied.
func (e *joinEngine) commit(csn eventstore.CSN) error {
	for _, d := range e.order {
		if !d.marked {
			if err := e.setDoc(d.key, docRecord{csn: d.last, pending: true, parked: e.counted(d.was)}); err != nil {
				return err
			}
			d.marked = true
		}
	}
	e.meta.CSN, e.meta.LogID = max(e.meta.CSN, csn), e.loop.logID
	text, err := json.Marshal(e.meta)
	if err != nil {
		return err
	}
	if err := e.state.Set(metaKey, text); err != nil {
		return err
	}
	e.uncommitted = 0
	return e.state.Commit()
}

// settle commits what was read, at a transaction's end.
func (e *joinEngine) settle(csn eventstore.CSN) error {
	if csn <= e.meta.CSN && e.uncommitted == 0 {
		return nil
	}
	if err := e.commit(csn); err != nil {
		return fmt.Errorf("commit local state: %w", err)
	}
	return nil
}

func (e *joinEngine) close() error { return e.state.Close() }

// keys of the local state: a letter for the kind, the number of a table, index or part, and encoded keys.
var metaKey = []byte{'m'}

const (
	rowLetter    = 'r' // table, row: image
	indexLetter  = 'i' // index, key, order, row: pieces, or the row's key where there is an order
	docLetter    = 'd' // root: docRecord
	pieceLetter  = 'p' // part, row: piece
	readLetter   = 'w' // space, key, reader: a free read
	wholeLetter  = 'x' // space, reader: a free read of anything in a space
	readerLetter = 'y' // reader: its free reads

	parentLetter  = 's' // relation, hash of a folded key, key of a parent
	childLetter   = 't' // relation, hash of a folded key, key of children
	suspectLetter = 'u' // relation, key of children, hash of a parent's key: that key
)

func appendNumbered(dst []byte, letter byte, no int) []byte {
	return append(dst, letter, byte(no>>8), byte(no))
}

func (e *joinEngine) rowKey(dst []byte, t *planTable, key []byte) []byte {
	return append(appendNumbered(dst, rowLetter, t.no), key...)
}

func (e *joinEngine) indexKey(dst []byte, ix *joinIndex, key []byte) []byte {
	return append(appendNumbered(dst, indexLetter, e.known[ix]), key...)
}

func (e *joinEngine) pieceKey(dst []byte, part int, key []byte) []byte {
	return append(appendNumbered(dst, pieceLetter, part), key...)
}

// prefix returns the bounds of the keys that begin with p.
func prefix(p []byte) (low, high []byte) {
	high = bytes.Clone(p)
	for i := len(high) - 1; i >= 0; i-- {
		if high[i]++; high[i] != 0 {
			return p, high[:i+1]
		}
	}
	return p, bytes.Repeat([]byte{0xff}, MaxStateKey)
}

// borrow returns an empty buffer for a key; release gives it back.
func (e *joinEngine) borrow() []byte {
	if n := len(e.spare); n > 0 {
		b := e.spare[n-1]
		e.spare = e.spare[:n-1]
		return b[:0]
	}
	return make([]byte, 0, 64)
}

func (e *joinEngine) release(b []byte) { e.spare = append(e.spare, b) }

// lost says that the state contradicts itself.
func lost(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrStateLost, fmt.Sprintf(format, args...))
}
