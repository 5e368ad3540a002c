package cdc

import (
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// tail finishes what a predecessor had begun (docs/decisions/0002-relay-protocol.md, step 13). It is pure: the stream's slices go in,
// in the order of this server, and the stamped ones come out in the order of their numbers. Transactions without a stamp wait in held.
type tail struct {
	wanted []numbered // still to come, rising by csn
	stamp  map[string]eventstore.CSN
	ready  map[eventstore.CSN][]*Slice // whole stamped transactions that came before their turn
	held   []*Slice                    // whole transactions without a stamp, in the stream's order
	bytes  int                         // of ready and held
	limit  int

	current []*Slice    // slices of the transaction being collected out of turn
	place   Coordinates // where the last transaction that was offered ended
	highest eventstore.CSN
	count   int
}

type numbered struct {
	csn eventstore.CSN
	id  string
}

// numberedSlice is a slice to be written under csn.
type numberedSlice struct {
	*Slice
	csn eventstore.CSN
}

// newTail plans the tail. executed is what the server has: a stamped transaction it does not have keeps its number unused when no
// record of it landed; if one did, it is reported as missing.
func newTail(t eventstore.Tail, executed Position, limit int) (plan *tail, missing []string, err error) {
	plan = &tail{stamp: map[string]eventstore.CSN{}, ready: map[eventstore.CSN][]*Slice{}, limit: limit, highest: t.Highest()}
	if t.Stamp == nil {
		return plan, nil, nil
	}
	covers, err := executed.Contains()
	if err != nil {
		return nil, nil, err
	}
	for csn, id := range t.Stamp.All() {
		if isChunk(id) { // what landed counts, its rows are read anew under another id
			plan.highest = max(plan.highest, csn)
			continue
		}
		has, err := covers(id)
		if err != nil {
			return nil, nil, fmt.Errorf("stamp of csn %d: %w", csn, err)
		}
		_, landed := slices.BinarySearch(t.Landed, csn)
		switch {
		case has:
			plan.wanted = append(plan.wanted, numbered{csn, id})
			plan.stamp[id] = csn
		case landed:
			missing = append(missing, id)
		}
		plan.highest = max(plan.highest, csn)
	}
	plan.count = len(plan.wanted)
	return plan, missing, nil
}

func (t *tail) done() bool { return len(t.wanted) == 0 }

// offer takes the stream's next slice and yields what can be written now. Slices are copied when they have to wait.
func (t *tail) offer(slice *Slice, emit func(numberedSlice) error) error {
	if t.done() {
		return fmt.Errorf("finish tail: offered %s after the end", slice.ID)
	}
	if slice.Last {
		t.place = Coordinates{slice.Server, slice.File, slice.Offset}
	}
	if next := t.wanted[0]; slice.ID == next.id {
		if err := emit(numberedSlice{slice, next.csn}); err != nil || !slice.Last {
			return err
		}
		t.wanted = t.wanted[1:]
		return t.emitReady(emit)
	}
	held := slice.clone()
	if t.bytes += held.size(); t.bytes > t.limit {
		return fmt.Errorf("finish tail: more than %d bytes (HoldBytes) came before %s, which has csn %d in the log; "+
			"raise HoldBytes, or connect to the server the log was written from", t.limit, t.wanted[0].id, t.wanted[0].csn)
	}
	t.current = append(t.current, held)
	if !slice.Last {
		return nil
	}
	if csn, stamped := t.stamp[slice.ID]; stamped {
		t.ready[csn] = t.current
	} else {
		t.held = append(t.held, t.current...)
	}
	t.current = nil
	return nil
}

func (t *tail) emitReady(emit func(numberedSlice) error) error {
	for len(t.wanted) > 0 {
		csn := t.wanted[0].csn
		slices, ok := t.ready[csn]
		if !ok {
			return nil
		}
		for _, slice := range slices {
			t.bytes -= slice.size()
			if err := emit(numberedSlice{slice, csn}); err != nil {
				return err
			}
		}
		delete(t.ready, csn)
		t.wanted = t.wanted[1:]
	}
	return nil
}

// clone returns a copy that stays valid after the stream's next step.
func (s *Slice) clone() *Slice {
	c := *s
	c.Changes = make([]Change, len(s.Changes))
	for i, change := range s.Changes {
		for _, b := range []*[]byte{&change.Key, &change.OldKey, &change.Before, &change.After} {
			*b = slices.Clone(*b)
		}
		c.Changes[i] = change
	}
	c.Schema = slices.Clone(s.Schema)
	return &c
}

// size is about what a clone takes in memory.
func (s *Slice) size() int {
	n := 200 + 200*len(s.Changes)
	for i := range s.Schema {
		n += 200 + len(s.Schema[i].Statement)
	}
	for i := range s.Changes {
		c := &s.Changes[i]
		n += len(c.Key) + len(c.OldKey) + len(c.Before) + len(c.After)
	}
	return n
}
