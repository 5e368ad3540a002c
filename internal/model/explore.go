package model

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// Result is what an exploration found.
type Result struct {
	States    int
	Completed int            // states in which a watermark has covered everything for the first time
	Halts     map[string]int // by reason: how often a relay halted
	Complete  bool           // every state was reached
	// Violation is what is wrong in the nearest state where something is; empty when nothing is anywhere. Trace leads there.
	Violation string
	Trace     []string
}

type link struct {
	parent int32
	act    action
}

type found struct {
	id int32
	s  *state
}

// Explore visits every state that the run can get to, breadth first, up to the first that breaks the protocol.
func Explore(run Run, session Session) Result {
	w := newWorld(run, session)
	x := explorer{world: w, seen: map[[2]uint64]struct{}{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	first := state{producer: producer{id: 1}}
	x.visit(-1, action{}, &first)
	for len(x.frontier) > 0 && x.bad == nil {
		if len(x.links) > maxStates {
			return x.result(false)
		}
		level := x.frontier
		x.frontier = nil
		for _, at := range level {
			followed := false
			w.each(at.s, func(act action, n *state) {
				followed = true
				if x.bad == nil {
					x.visit(at.id, act, n)
				}
			})
			if x.bad != nil {
				break
			}
			if !followed {
				x.end(at)
			}
		}
	}
	return x.result(true)
}

type explorer struct {
	*world
	seen      map[[2]uint64]struct{}
	seeds     [2]maphash.Seed
	links     []link
	frontier  []found
	buf       []byte
	completed int
	verdict   string
	bad       *found
}

func (x *explorer) visit(parent int32, act action, s *state) {
	x.buf = s.key(x.buf[:0])
	key := [2]uint64{maphash.Bytes(x.seeds[0], x.buf), maphash.Bytes(x.seeds[1], x.buf)}
	if _, seen := x.seen[key]; seen {
		return
	}
	x.seen[key] = struct{}{}
	x.links = append(x.links, link{parent, act})
	kept := *s
	at := found{int32(len(x.links) - 1), &kept}
	if x.verdict, x.wrong = x.wrong, ""; x.verdict != "" && (x.Without == "" || x.Without == NewerEpoch || x.Reader) {
		x.bad = &at
		return
	}
	switch act.kind {
	case appendRecord, appendAgain, appendListing, appendMark:
		if x.verdict = x.check(s); x.verdict != "" {
			x.bad = &at
			return
		}
		if act.kind == appendMark && x.covered(s) {
			x.completed++
		}
	}
	x.frontier = append(x.frontier, at)
}

// covered tells whether the last watermark covers all transactions of its writer's server.
func (w *world) covered(s *state) bool {
	at := w.lastMark(s)
	if at == 0 {
		return false
	}
	server := w.server[s.part[marks].log[at-1].relay]
	if progress, err := eventstore.ParseSnapshot(w.markAt(s, at).Position.Snapshot); err != nil || !progress.Complete("shop", "a") || !progress.Complete("shop", "b") {
		return false
	}
	for _, t := range server.Order {
		if w.markAt(s, at).covers>>t&1 == 0 {
			return false
		}
	}
	return true
}

// end looks at a state in which nothing can happen any more: everything is in the log, or the newest relay has said what is wrong, or
// nobody is left to write.
func (x *explorer) end(at found) {
	if last := x.lastMark(at.s); x.Reader && last > 0 && at.s.reader.handed < x.markAt(at.s, last).CSN {
		x.verdict, x.bad = "STUCK: the reader can do nothing any more, and has not read everything", &at
	}
	for r := range x.Relays {
		if q := &at.s.relay[r]; q.alive() && q.producer == at.s.producer && !x.covered(at.s) {
			x.verdict, x.bad = fmt.Sprintf("STUCK: relay %d can do nothing any more, and the log is not complete", r), &at
		}
	}
}

func (x *explorer) result(complete bool) Result {
	res := Result{States: len(x.links), Completed: x.completed, Halts: x.halts, Complete: complete, Violation: x.verdict}
	if x.bad != nil {
		for i := x.bad.id; i > 0; i = x.links[i].parent {
			res.Trace = append(res.Trace, x.links[i].act.String())
		}
		slices.Reverse(res.Trace)
		res.Trace = append(res.Trace, x.print(x.bad.s)...)
	}
	return res
}

// print returns the log of a state, a line for each partition.
func (w *world) print(s *state) (lines []string) {
	for p := range data {
		var b strings.Builder
		fmt.Fprintf(&b, "%s:", partitionName(p))
		for _, e := range s.part[p].log[:s.part[p].n] {
			switch rec := &w.records[e.what]; {
			case e.what == 0:
				b.WriteString(" [marker]")
			case rec.chunk != "":
				fmt.Fprintf(&b, " [csn %d.%d %s as of T%d, by %d]", rec.CSN, rec.Index, rec.chunk, rec.version, e.relay)
			case rec.tx < 0:
				fmt.Fprintf(&b, " [csn %d.%d definition, by %d]", rec.CSN, rec.Index, e.relay)
			default:
				fmt.Fprintf(&b, " [csn %d.%d T%d, by %d]", rec.CSN, rec.Index, rec.tx, e.relay)
			}
		}
		lines = append(lines, b.String())
	}
	var b strings.Builder
	b.WriteString("watermarks:")
	for _, e := range s.part[marks].log[:s.part[marks].n] {
		if e.what == 0 {
			b.WriteString(" [marker]")
			continue
		}
		m := &w.marks[e.what]
		fmt.Fprintf(&b, " [csn %d, covers %s, ends %v, by %d]", m.CSN, transactions(m.covers), m.ends, e.relay)
	}
	return append(lines, b.String())
}

func transactions(mask uint64) string {
	var names []string
	for t := range 64 {
		if mask>>t&1 == 1 {
			names = append(names, fmt.Sprint("T", t))
		}
	}
	return "{" + strings.Join(names, " ") + "}"
}
