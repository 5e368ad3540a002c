package model

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// each calls yield with every state that s can go to. The state is valid until yield returns.
func (w *world) each(s *state, yield func(action, *state)) {
	for p := range uint8(parts) {
		if s.pending>>p&1 == 1 {
			n := *s
			n.pending &^= 1 << p
			n.fence(p)
			yield(action{kind: writeMarker, part: p}, &n)
		}
	}
	w.eachEvent(s, yield)
	if w.Reader {
		w.eachRead(s, yield)
	}
	for r := range w.Relays {
		w.eachStart(s, r, yield)
		if s.relay[r].phase == running {
			w.eachWrite(s, r, yield)
		}
	}
}

// fence writes the pending transaction's marker into a partition.
func (s *state) fence(p uint8) {
	part, of := &s.part[p], s.pendingOf
	part.epoch[of.id] = max(part.epoch[of.id], of.epoch)
	part.add(entry{stamp: uint16(of.id)})
}

// eachEvent yields what happens to the broker, and what an operator does.
func (w *world) eachEvent(s *state, yield func(action, *state)) {
	once := func(e event, k kind, change func(n *state)) {
		if w.Events&e != 0 && s.events&e == 0 && s.pending == 0 && s.relay[0].phase != waiting {
			n := *s
			n.events |= e
			change(&n)
			yield(action{kind: k}, &n)
		}
	}
	once(idExpired, expireID, func(n *state) {
		n.producer = producer{id: n.producer.id + 1}
		w.age(n, anyone)
	})
	once(epochsUsedUp, useUpEpochs, func(n *state) { n.producer = producer{id: n.producer.id + 1} })
	once(epochsExpired, expireEpochs, func(n *state) {
		for p := range n.part {
			n.part[p].epoch = [maxProducers]uint8{}
		}
		w.age(n, anyone)
	})
	if w.Without == MarksKept || !slices.ContainsFunc(s.relay[:], func(q relay) bool { return q.alive() }) {
		once(marksDropped, dropMarks, func(n *state) { n.cut = n.part[marks].n })
	}
	for r := range w.Relays {
		if q := &s.relay[r]; w.Kills && q.alive() {
			n := *s
			n.relay[r] = relay{phase: over, producer: q.producer}
			yield(action{kind: killRelay, relay: uint8(r)}, &n)
		}
	}
}

// age lets the leases of some relays pass.
func (w *world) age(s *state, whose func(r int) bool) {
	for r := range s.relay {
		if q := &s.relay[r]; q.alive() && whose(r) && w.Without != Lease {
			*q = relay{phase: over, producer: q.producer}
		}
	}
}

// anyone is for a time that nobody's lease outlives: a relay that lived would have kept its ids alive.
func anyone(int) bool { return true }

// eachStart yields the next of the steps 5 to 10 of relay r.
func (w *world) eachStart(s *state, r int, yield func(action, *state)) {
	n := *s
	q := &n.relay[r]
	act := action{relay: uint8(r)}
	settled := n.pending == 0 || n.pendingOf != q.producer // the second OK
	if w.Without == SecondOK {
		settled = true
	}
	switch q.phase {
	case waiting:
		if r > 0 && s.relay[r-1].phase == waiting || s.pending != 0 {
			return
		}
		n.producer.epoch++
		q.producer, q.phase, act.kind = n.producer, begun, initProducer
		if w.Without == FenceBeforeMark {
			q.mark = w.lastMark(s)
		}
	case begun:
		act.kind = endTransaction
		mask := uint8(1 << marks)
		if w.Without == MarkFence {
			mask = 0
		}
		w.endTransaction(&n, q, mask, fencedMarks)
	case fencedMarks:
		if !settled {
			return
		}
		act.kind = readMark
		w.readMark(&n, r)
	case awaiting:
		act.kind = awaitLease
		w.awaitLease(&n, r)
	case foundMark:
		act.kind = endTransaction
		mask := q.listed
		if w.Without == DataFence {
			mask = 0
		}
		w.endTransaction(&n, q, mask, fencedData)
	case fencedData:
		if !settled && w.Without != FenceBeforeTail {
			return
		}
		q.phase = reading
		fallthrough
	case reading:
		act.kind = readTail
		act.part = w.readTail(&n, r)
	default:
		return
	}
	yield(act, &n)
}

// endTransaction fences partitions, or stops a relay that is fenced off itself.
func (w *world) endTransaction(n *state, q *relay, mask uint8, then phase) {
	if n.producer != q.producer {
		*q = relay{phase: stopped, producer: q.producer}
		return
	}
	if n.pending == 0 {
		n.pendingOf = q.producer
	}
	n.pending |= mask
	q.phase = then
}

// readMark takes the steps 7 and 8.
func (w *world) readMark(n *state, r int) {
	q := &n.relay[r]
	if w.Without != FenceBeforeMark {
		q.mark = w.lastMark(n)
	}
	if q.mark == 0 {
		if q.waited < w.stated(n, q) && w.fencedBefore(n, q.producer.id) && w.Without != ForeignFence {
			q.phase = awaiting
			return
		}
		w.foundMark(n, r)
		return
	}
	m := w.markAt(n, q.mark)
	if m.producer.id != q.producer.id && q.waited < m.lease && w.Without != ForeignProducer {
		q.phase = awaiting
		return
	}
	if m.producer.id == q.producer.id && m.producer.epoch > q.producer.epoch && w.Without != NewerEpoch {
		*q = relay{phase: stopped, producer: q.producer}
		return
	}
	w.foundMark(n, r)
}

// fencedBefore tells whether a marker in the watermark partition is of another producer id.
func (w *world) fencedBefore(n *state, id uint8) bool {
	p := &n.part[marks]
	return slices.ContainsFunc(p.log[n.cut:p.n], func(e entry) bool { return e.what == 0 && e.stamp != uint16(id) })
}

// awaitLease lets as much time pass as W states, or every first watermark's writer relies on: the lease of everybody with another producer id, since
// the coordinator takes their keep-alive no more. Then the fence and W once more, since they may have gone on until now, and stated a longer one.
func (w *world) awaitLease(n *state, r int) {
	q := &n.relay[r]
	length := w.stated(n, q)
	w.age(n, func(other int) bool {
		return n.relay[other].producer.id != q.producer.id && w.reliesOn(n, other) <= length
	})
	if q.waited, q.phase = length, begun; w.Without == FenceAgain {
		w.foundMark(n, r)
	}
}

// firstLease is what the writer of a log's first watermark relies on until it has written it.
const firstLease = 1

// stated is the lease that the watermark states which a relay has found.
func (w *world) stated(n *state, q *relay) uint8 {
	if q.mark == 0 {
		return firstLease
	}
	return w.markAt(n, q.mark).lease
}

// reliesOn is for how long a relay writes without a keep-alive: its own lease when it has stated it, and until then not longer than what is stated.
func (w *world) reliesOn(n *state, r int) uint8 {
	q, p := &n.relay[r], &n.part[marks]
	written := func(e entry) bool { return e.what != 0 && int(e.relay) == r }
	if w.Without == StatedLease || slices.ContainsFunc(p.log[q.mark:p.n], written) {
		return w.lease(r)
	}
	return min(w.lease(r), w.stated(n, q))
}

// foundMark goes on from the watermark that relay r has read, or as the log's first writer.
func (w *world) foundMark(n *state, r int) {
	q := &n.relay[r]
	if q.mark == 0 {
		for p := range data {
			for _, e := range n.part[p].log[:n.part[p].n] {
				if e.what != 0 && w.Without != DataCheck {
					w.halt(n, r, unmarked)
					return
				}
			}
		}
		w.begin(n, r)
		return
	}
	q.listed, q.phase = w.markAt(n, q.mark).listed, foundMark
	if q.listed == 0 {
		w.begin(n, r)
	}
}

func (w *world) halt(n *state, r int, why string) {
	if w.halts[why]++; w.MayHalt == "" || !strings.Contains(why, w.MayHalt) {
		w.wrong = "HALT: relay " + fmt.Sprint(r) + ": " + why
	}
	n.relay[r] = relay{phase: halted, producer: n.relay[r].producer}
}

// readTail reads the next partition's tail (10), and behind the last one plans what to write.
func (w *world) readTail(n *state, r int) uint8 {
	q := &n.relay[r]
	p := uint8(bits.TrailingZeros8(q.listed &^ q.read))
	if n.part[p].epoch[q.producer.id] > q.producer.epoch && w.Without != NewerEpoch { // batches carry it, markers too
		*q = relay{phase: stopped, producer: q.producer}
		return p
	}
	q.tail[p] = n.part[p].n
	if q.read |= 1 << p; q.read == q.listed {
		w.begin(n, r)
	}
	return p
}

// takes tells whether a partition takes a batch of a producer.
func (w *world) takes(p *partition, of producer) bool {
	return w.Without == Idempotence || p.epoch[of.id] <= of.epoch
}

// append appends an entry of relay r to a partition.
func (s *state) append(p int, r int, e entry) {
	of := s.relay[r].producer
	e.relay = uint8(r)
	s.part[p].epoch[of.id] = max(s.part[p].epoch[of.id], of.epoch)
	s.part[p].add(e)
}

// eachWrite yields what relay r, which runs, can write next.
func (w *world) eachWrite(s *state, r int, yield func(action, *state)) {
	q := &s.relay[r]
	act := action{relay: uint8(r)}
	sc := &w.scripts[q.script]
	if w.Events&keptAlive != 0 && q.landed == [data]uint8{} {
		if s.pending != 0 && s.pendingOf == q.producer {
			return // until the keep-alive has its second OK
		}
		w.keepAlive(s, r, yield)
	}
	if int(q.op) == len(sc.ops) {
		for _, next := range w.next(q.script) {
			n := *s
			n.relay[r].script = next
			w.settle(&n, r)
			takes := w.scripts[next].takes
			last := takes[len(takes)-1]
			act.kind, act.part = takeFlush, uint8(last.Slices|last.View<<4)
			yield(act, &n)
		}
		return
	}
	o := &sc.ops[q.op]
	if o.mark != nil {
		w.writeMark(s, r, o, yield)
		return
	}
	if mask := w.unlisted(s, r, o); mask != 0 {
		w.writeListing(s, r, mask, yield)
		return
	}
	for p := range data {
		landed := int(q.landed[p])
		if w.takes(&s.part[p], q.producer) && landed < len(o.records[p]) {
			n := *s
			n.append(p, r, entry{what: o.records[p][landed], stamp: o.stamp})
			n.relay[r].landed[p]++
			w.acknowledge(&n, r, o)
			act.kind, act.part = appendRecord, uint8(p)
			yield(act, &n)
		}
		if w.Without == Idempotence && s.repeated == 0 && landed > 0 {
			n := *s
			n.repeated++
			n.append(p, r, entry{what: o.records[p][landed-1], stamp: o.stamp})
			act.kind, act.part = appendAgain, uint8(p)
			yield(act, &n)
		}
	}
	if w.Without == AllAcknowledged && q.landed[0] == uint8(len(o.records[0])) && int(q.op)+1 < len(sc.ops) && sc.ops[q.op+1].mark != nil {
		n := *s
		n.relay[r].op++
		w.writeMark(&n, r, &sc.ops[q.op+1], yield)
	}
}

// keepAlive renews the lease of relay r (17): between two flushes, a fence over all that it knows as the log's own.
func (w *world) keepAlive(s *state, r int, yield func(action, *state)) {
	if s.events&keptAlive != 0 || s.pending != 0 {
		return
	}
	n := *s
	n.events |= keptAlive
	w.endTransaction(&n, &n.relay[r], n.relay[r].listed|1<<marks, running)
	yield(action{kind: keepAlive, relay: uint8(r)}, &n)
}

// acknowledge moves relay r on when all of its flush has landed.
func (w *world) acknowledge(n *state, r int, o *op) {
	q := &n.relay[r]
	for p := range data {
		if int(q.landed[p]) < len(o.records[p]) {
			return
		}
	}
	q.landed = [data]uint8{}
	q.op++
	w.settle(n, r)
}

// unlisted returns the partitions of topics that the op writes to and the relay must list first.
func (w *world) unlisted(s *state, r int, o *op) (mask uint8) {
	listed := s.relay[r].listed
	switch w.Without {
	case Listing:
		return 0
	case OwnListing:
		if at := w.lastMark(s); at > 0 {
			listed |= w.markAt(s, at).listed
		}
	}
	for p := range data {
		if len(o.records[p]) > 0 && listed>>p&1 == 0 {
			mask |= w.server[r].topic(p)
		}
	}
	return mask
}

// writeListing lists topics (16).
func (w *world) writeListing(s *state, r int, mask uint8, yield func(action, *state)) {
	q := &s.relay[r]
	if !w.takes(&s.part[marks], q.producer) {
		return
	}
	n := *s
	m := mark{Watermark: w.lastKnown(s, r), producer: q.producer, lease: w.lease(r), listed: q.listed | mask}
	m.ends = w.endsAt(s, r, m.CSN)
	n.append(marks, r, entry{what: w.mark(m)})
	n.relay[r].listed = m.listed
	yield(action{appendListing, uint8(r), mask}, &n)
}

// lastKnown returns the watermark that relay r has written or found last.
func (w *world) lastKnown(s *state, r int) eventstore.Watermark {
	q := &s.relay[r]
	ops := w.scripts[q.script].ops
	for i := int(q.op) - 1; i >= 0; i-- {
		if ops[i].mark != nil {
			return *ops[i].mark
		}
	}
	return w.markAt(s, q.mark).Watermark
}

// writeMark writes a watermark (20).
func (w *world) writeMark(s *state, r int, o *op, yield func(action, *state)) {
	q := &s.relay[r]
	if !w.takes(&s.part[marks], q.producer) {
		return
	}
	n := *s
	m := mark{Watermark: *o.mark, covers: o.covers, producer: q.producer, lease: w.lease(r), listed: q.listed}
	if w.Without == Listing { // they are listed with their first record under a watermark
		for p := range data {
			if bits.OnesCount8(m.listed) < data && w.endsAt(s, r, m.CSN)[p] > 0 {
				m.listed |= w.server[r].topic(p)
			}
		}
	}
	m.ends = w.endsAt(s, r, m.CSN)
	n.append(marks, r, entry{what: w.mark(m)})
	n.relay[r].op++
	n.relay[r].listed = m.listed
	w.settle(&n, r)
	yield(action{kind: appendMark, relay: uint8(r)}, &n)
}
