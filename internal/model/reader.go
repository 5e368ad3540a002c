package model

import (
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// reader is a consumer of cuts (22, 23). A cut is handed over in one step: a reader that dies within one has recorded no progress, and what
// stands below a watermark's ends does not change any more.
type reader struct {
	reading  bool
	starts   uint8
	progress eventstore.CSN // recorded: survives a crash
	opened   eventstore.CSN // its progress when it started
	after    eventstore.CSN // of the last cut
	next     uint8          // place of the next watermark to look at, from 0
	begun    bool           // the positions are known
	ends     [data]uint8    // of the last watermark
	listed   uint8
	pos      [data]uint8
	handed   eventstore.CSN // everything up to here was handed over, by this life or one before
}

// maxStarts is how often a reader starts: it crashes between.
const maxStarts = 3

func (r *reader) key(b []byte) []byte {
	flags := uint8(0)
	if r.reading {
		flags |= 1
	}
	if r.begun {
		flags |= 2
	}
	b = append(b, flags, r.starts, uint8(r.progress), uint8(r.opened), uint8(r.after), r.next, r.listed, uint8(r.handed))
	return append(append(b, r.ends[:]...), r.pos[:]...)
}

// eachRead yields what the reader can do next.
func (w *world) eachRead(s *state, yield func(action, *state)) {
	q := &s.reader
	log := s.part[marks].log[:s.part[marks].n]
	switch {
	case !q.reading && q.starts == 0: // it may have come to any csn by other means
		if newest := w.lastMark(s); newest > 0 {
			for csn := range w.markAt(s, newest).CSN + 1 {
				w.startReader(s, csn, yield)
			}
		}
		return
	case !q.reading && q.starts < maxStarts:
		w.startReader(s, q.progress, yield)
		return
	case !q.reading:
		return
	}
	if q.starts < maxStarts {
		n := *s
		n.reader = reader{starts: q.starts, progress: q.progress, handed: q.handed}
		yield(action{kind: crashReader}, &n)
	}
	done := q.after
	if newest := w.markAt(s, w.lastMark(s)); w.Without == ProgressBehind {
		done = newest.CSN // which it has not read yet
	}
	if q.progress < done {
		n := *s
		n.reader.progress = done
		yield(action{kind: recordProgress}, &n)
	}
	for i := int(q.next); i < len(log); i++ {
		if log[i].what == 0 {
			continue
		}
		n := *s
		n.reader.next = uint8(i + 1)
		w.readCut(&n, &w.marks[log[i].what])
		yield(action{kind: readCut, part: uint8(i)}, &n)
		return
	}
}

// startReader starts the reader with its progress, at any watermark that is not behind it.
func (w *world) startReader(s *state, progress eventstore.CSN, yield func(action, *state)) {
	handed := s.reader.handed
	if s.reader.starts == 0 {
		handed = progress
	}
	for i, e := range s.part[marks].log[:s.part[marks].n] {
		if e.what == 0 {
			continue
		}
		n := *s
		q := &n.reader
		*q = reader{reading: true, starts: q.starts + 1, progress: progress, opened: progress, after: progress, next: uint8(i), handed: handed}
		switch csn := w.marks[e.what].CSN; {
		case w.Without == OldStart:
			q.opened, q.after = max(q.opened, csn), max(q.after, csn)
		case csn > progress:
			continue
		}
		yield(action{kind: startReader, part: uint8(i)}, &n)
	}
}

// readCut hands over the cut that m closes.
func (w *world) readCut(n *state, m *mark) {
	q := &n.reader
	if !q.begun && m.CSN > q.opened {
		q.begun, q.pos = true, q.ends
	}
	for p := range data {
		if q.begun && m.listed&^q.listed>>p&1 == 1 { // new: nothing stands below its end when it is only listed
			if q.pos[p] = 0; m.CSN == q.after {
				q.pos[p] = m.ends[p]
			}
		}
	}
	q.ends, q.listed = m.ends, m.listed
	if m.CSN < q.opened {
		return
	}
	if q.begun {
		w.checkHanded(n, m, w.between(n, m))
	}
	q.after = m.CSN
}

// between reads the records of the cut that m closes, and moves the positions.
func (w *world) between(n *state, m *mark) (cut []eventstore.Place) {
	q := &n.reader
	for p := range data {
		end := m.ends[p]
		if w.Without == Ends {
			end = n.part[p].n
		}
		for ; q.pos[p] < end; q.pos[p]++ {
			e := n.part[p].log[q.pos[p]]
			if e.what == 0 {
				if w.Without == EmptyFetch { // a reply with a marker only holds no records
					q.pos[p] = end
					break
				}
				continue
			}
			if rec := &w.records[e.what]; rec.CSN > q.opened || w.Without == DropRead {
				cut = append(cut, rec.Place)
			}
		}
	}
	if w.Without != Merge {
		slices.SortFunc(cut, eventstore.Place.Compare)
	}
	return cut
}

// checkHanded: a cut is exactly what the log has behind the cut before it, in order (I10), and nothing was left out before it (I11).
func (w *world) checkHanded(n *state, m *mark, cut []eventstore.Place) {
	q := &n.reader
	var want []eventstore.Place
	for p := range data {
		for _, e := range n.part[p].log[:n.part[p].n] {
			if rec := &w.records[e.what]; e.what != 0 && rec.CSN > q.after && rec.CSN <= m.CSN {
				want = append(want, rec.Place)
			}
		}
	}
	slices.SortFunc(want, eventstore.Place.Compare)
	switch {
	case !slices.Equal(cut, want):
		w.wrong = fmt.Sprintf("READ: the cut (%d, %d] was handed over as %v, the log has %v", q.after, m.CSN, cut, want)
	case q.after > q.handed:
		w.wrong = fmt.Sprintf("SKIPPED: the cut (%d, %d] was handed over, and before it everything up to %d only", q.after, m.CSN, q.handed)
	}
	q.handed = max(q.handed, m.CSN)
}
