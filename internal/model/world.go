package model

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// world is one run: what does not change while it is explored, and everything that occurs in its states, by small numbers.
type world struct {
	Run
	session Session
	server  [maxRelays]*Server

	records  []record // 0 is a control batch
	recordOf map[string]uint16
	marks    []mark // 0 is none
	markOf   map[string]uint16
	stamps   []eventstore.Stamp
	stampOf  map[string]uint16
	scripts  []script
	scriptOf map[string]uint32
	halts    map[string]int
	wrong    string // a halt in the last step that should not be
}

// record is a record of the log.
type record struct {
	eventstore.Place
	part       int
	tx         int    // -1 for a definition and a chunk
	chunk      string // the chunk's id
	row        uint64 // its row's index
	version    int    // the transaction whose row it is, -1 for an old one
	definition string // the one that it is, or names
}

// mark is a watermark with its ends.
type mark struct {
	eventstore.Watermark
	covers   uint64 // transactions in its position
	ends     [data]uint8
	listed   uint8
	producer producer
	lease    uint8 // its writer's
}

// script is what a relay writes up to its next choice.
type script struct {
	start  eventstore.Start
	key    string
	server int
	takes  []Take
	ops    []op
	short  bool
	halt   string
	next   []uint32 // by take, from 1; 0 where there is none. Nil before it is asked for
}

// op is one op of a script, as numbers.
type op struct {
	records [data][]uint16
	stamp   uint16
	mark    *eventstore.Watermark // nil for a flush
	covers  uint64
}

func newWorld(run Run, session Session) *world {
	w := &world{Run: run, session: session, records: make([]record, 1), recordOf: map[string]uint16{}, marks: make([]mark, 1),
		markOf: map[string]uint16{}, stamps: make([]eventstore.Stamp, 1), stampOf: map[string]uint16{}, scripts: make([]script, 1),
		scriptOf: map[string]uint32{}, halts: map[string]int{}}
	for r := range w.server {
		w.server[r] = run.serverOf(r)
	}
	return w
}

// record returns the number of a record.
func (w *world) record(from *eventstore.Record) uint16 {
	key := fmt.Sprintf("%v %s %s", from.Place, from.Topic, from.Value)
	if n, known := w.recordOf[key]; known {
		return n
	}
	r := record{Place: from.Place, part: partitionOf(from.Topic, from.Key), tx: -1, row: from.Index}
	if from.Topic == eventstore.SchemaTopic {
		var c eventstore.SchemaChange
		if err := eventstore.ParseSchema(from, &c); err != nil {
			panic(err)
		}
		r.definition = c.Definition.ID()
	} else {
		var row eventstore.RowChange
		if err := eventstore.ParseRow(from, &row); err != nil {
			panic(err)
		}
		if r.definition = row.Definition; row.Op == 'r' {
			r.chunk = row.GTID
		} else {
			r.tx = transactionOf(row.GTID)
		}
		if _, err := fmt.Sscanf(string(row.After[bytes.LastIndexByte(row.After, ':')+1:]), "%d}", &r.version); err != nil {
			panic(err)
		}
		r.version--
		for r.row = 0; eventstore.RowIndex(r.row, eventstore.RowRecord) != from.Index; r.row++ {
			if r.row > from.Index {
				panic(fmt.Sprintf("model: index %d is no row's", from.Index))
			}
		}
	}
	w.records = append(w.records, r)
	w.recordOf[key] = uint16(len(w.records) - 1)
	return w.recordOf[key]
}

// stamp returns the number of a stamp.
func (w *world) stamp(from eventstore.Stamp) uint16 {
	key := fmt.Sprintf("%+v", from)
	if n, known := w.stampOf[key]; known {
		return n
	}
	w.stamps = append(w.stamps, from)
	w.stampOf[key] = uint16(len(w.stamps) - 1)
	return w.stampOf[key]
}

// mark returns the number of a watermark.
func (w *world) mark(m mark) uint16 {
	key := fmt.Sprintf("%d %s %s %v %b %v %d", m.CSN, positionKey(m.Position), m.Config, m.ends, m.listed, m.producer, m.lease)
	if n, known := w.markOf[key]; known {
		return n
	}
	if m.covers == 0 {
		m.covers = w.covers(m.Position)
	}
	w.marks = append(w.marks, m)
	w.markOf[key] = uint16(len(w.marks) - 1)
	return w.markOf[key]
}

// covers returns the transactions of a position.
func (w *world) covers(p eventstore.Position) (mask uint64) {
	if p.IsZero() {
		return 0
	}
	has, err := p.Contains()
	if err != nil {
		panic(err)
	}
	for t := range w.server[0].Transactions {
		if ok, err := has(GTID(t)); err != nil {
			panic(err)
		} else if ok {
			mask |= 1 << t
		}
	}
	return mask
}

// script returns the number of the script of a relay that follows server and has found start.
func (w *world) script(start eventstore.Start, server int, takes []Take) uint32 {
	key := fmt.Sprintf("%d %v|%d %s %s %v|%s", server, start.Found, start.Watermark.CSN, positionKey(start.Watermark.Position),
		start.Watermark.Config, start.Watermark.Ends, tailKey(start.Tail))
	return w.play(key, start, server, takes)
}

func (w *world) play(key string, start eventstore.Start, server int, takes []Take) uint32 {
	full := fmt.Sprintf("%s|%v", key, takes)
	if n, known := w.scriptOf[full]; known {
		return n
	}
	played := w.session(start, w.server[server], takes)
	s := script{start: start, key: key, server: server, takes: takes, short: played.Short}
	if played.Halt != nil {
		s.halt = played.Halt.Error()
	}
	ops := played.Ops
	if w.Without == CompleteTransactions {
		ops = markEarly(start, ops)
	}
	for _, from := range ops {
		o := op{mark: from.Mark}
		if from.Mark != nil {
			o.covers = w.covers(from.Mark.Position)
		} else {
			stamp := from.Flush.Stamp
			if w.Without == TailStamp && start.Tail.Stamp != nil {
				stamp.Runs = nil
			}
			o.stamp = w.stamp(stamp)
			for i := range from.Flush.Records {
				n := w.record(&from.Flush.Records[i])
				o.records[w.records[n].part] = append(o.records[w.records[n].part], n)
			}
		}
		s.ops = append(s.ops, o)
	}
	w.scripts = append(w.scripts, s)
	w.scriptOf[full] = uint32(len(w.scripts) - 1)
	return w.scriptOf[full]
}

// markEarly takes out a step: it puts a watermark behind each flush.
func markEarly(start eventstore.Start, ops []Op) (early []Op) {
	last := start.Watermark
	for i, o := range ops {
		early = append(early, o)
		if o.Mark != nil {
			last = *o.Mark
		} else if i+1 == len(ops) || ops[i+1].Flush != nil {
			last.CSN = o.Flush.Stamp.Last()
			m := last
			early = append(early, Op{Mark: &m})
		}
	}
	return early
}

// next returns the scripts that a relay may go on with at the end of one: one for each way to its next flush.
func (w *world) next(n uint32) []uint32 {
	if w.scripts[n].next == nil {
		next := []uint32{}
		for view := range w.Views + 1 {
			for take := 1; take <= w.MaxTake && w.scripts[n].halt == ""; take++ {
				s := &w.scripts[n]
				m := w.play(s.key, s.start, s.server, append(slices.Clone(s.takes), Take{take, view}))
				if w.scripts[m].short {
					break
				}
				next = append(next, m)
			}
		}
		w.scripts[n].next = next
	}
	return w.scripts[n].next
}

// positionKey is all of a position: its String leaves out much.
func positionKey(p eventstore.Position) string {
	return fmt.Sprintf("%s %s:%s:%d %v %s", p.GTIDs, p.Server, p.File, p.Offset, p.Prepared, p.Snapshot)
}

func tailKey(t eventstore.Tail) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v %+v", t.Landed, t.Last, t.Stamp) // fmt prints maps in the order of their keys
	return b.String()
}
