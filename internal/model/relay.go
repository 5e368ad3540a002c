package model

import (
	"slices"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// start is what relay r finds when its tails are read.
func (w *world) start(s *state, r int) eventstore.Start {
	q := &s.relay[r]
	start := eventstore.Start{Tail: eventstore.Tail{Last: map[eventstore.Partition]eventstore.Place{}}}
	if q.mark == 0 {
		return start
	}
	m := w.markAt(s, q.mark)
	start.Watermark, start.Found = m.Watermark, true
	start.Watermark.Ends = map[eventstore.Partition]int64{}
	server := w.server[r]
	var best eventstore.Place
	for p := range data {
		if m.listed>>p&1 == 0 {
			continue
		}
		start.Watermark.Ends[server.name(p)] = int64(m.ends[p])
		for _, e := range s.part[p].log[min(m.ends[p], q.tail[p]):q.tail[p]] {
			rec := &w.records[e.what]
			if e.what == 0 || rec.CSN <= m.CSN {
				continue
			}
			start.Tail.Last[server.name(p)] = rec.Place
			start.Tail.Landed = append(start.Tail.Landed, rec.CSN)
			if rec.Compare(best) > 0 {
				best = rec.Place
				start.Tail.Stamp = &w.stamps[e.stamp]
			}
		}
	}
	slices.Sort(start.Tail.Landed)
	start.Tail.Landed = slices.Compact(start.Tail.Landed)
	return w.spoil(start, r)
}

// spoil takes out steps that are seen in what a relay finds.
func (w *world) spoil(start eventstore.Start, r int) eventstore.Start {
	t := &start.Tail
	switch w.Without {
	case Stamp: // the next numbers go to the next transactions of this server
		if t.Stamp == nil {
			break
		}
		counted := eventstore.Stamp{Config: t.Stamp.Config}
		covered, csn := w.covers(start.Watermark.Position), start.Watermark.CSN
		for _, tx := range w.server[r].Order {
			if covered>>tx&1 == 0 && csn < t.Highest() {
				csn++
				counted.Add(csn, GTID(tx))
			}
		}
		t.Stamp = &counted
	case Landed:
		clear(t.Last)
	case ChunkNumbers: // as if no chunk had been there
		if t.Stamp == nil {
			break
		}
		without := eventstore.Stamp{Config: t.Stamp.Config}
		for csn, id := range t.Stamp.All() {
			if !strings.HasPrefix(id, "snapshot/") {
				without.Add(csn, id)
				continue
			}
			t.Landed = slices.DeleteFunc(t.Landed, func(landed eventstore.CSN) bool { return landed == csn })
		}
		t.Stamp = &without
	case SourceCheck: // what the server does not have counts as never landed
		t.Landed = nil
	}
	return start
}

// markAt returns the watermark at a place of the watermark partition, from 1.
func (w *world) markAt(s *state, at uint8) *mark { return &w.marks[s.part[marks].log[at-1].what] }

// lastMark returns the place of the last watermark that a reader sees, from 1, or 0.
func (w *world) lastMark(s *state) uint8 {
	p := &s.part[marks]
	for at := p.n; at > s.cut; at-- {
		if p.log[at-1].what != 0 {
			return at
		}
	}
	return 0
}

// begin makes relay r ready to run when its tails are read.
func (w *world) begin(s *state, r int) {
	q := &s.relay[r]
	q.script = w.script(w.start(s, r), r, nil)
	q.phase = running
	w.settle(s, r)
}

// settle moves a relay on that has nothing more of its script to write: it halts, if that is how the script ends.
func (w *world) settle(s *state, r int) {
	q := &s.relay[r]
	if sc := &w.scripts[q.script]; int(q.op) == len(sc.ops) && sc.halt != "" {
		w.halt(s, r, sc.halt)
	}
}

// endsAt returns the ends of a watermark of relay r at csn, as it knows them: those of W, what it found behind it, and its own records.
func (w *world) endsAt(s *state, r int, csn eventstore.CSN) (ends [data]uint8) {
	q := &s.relay[r]
	var from mark
	if q.mark > 0 {
		from = *w.markAt(s, q.mark)
	}
	for p := range data {
		ends[p] = from.ends[p]
		for i, e := range s.part[p].log[:s.part[p].n] {
			own := int(e.relay) == r && i >= int(q.tail[p])
			tail := i >= int(from.ends[p]) && i < int(q.tail[p]) && w.Without != TailEnds
			if rec := &w.records[e.what]; e.what != 0 && (own || tail) && rec.CSN > from.CSN && rec.CSN <= csn {
				ends[p] = uint8(i + 1)
			}
		}
	}
	return ends
}
