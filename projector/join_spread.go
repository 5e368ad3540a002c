package projector

import (
	"bytes"
	"context"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// spread is what is known of documents that are marked in the state as pending and are not in dirty: those of a change that concerns many, and all of
// them while the log's end is not reached. A pass goes over the records of all documents and writes the pending ones.
type spread struct {
	on     bool
	cursor []byte         // the pass has done the documents before it; nil: it has not begun
	oldest eventstore.CSN // change of a document that the pass has to write
	again  eventstore.CSN // the oldest change marked behind the cursor: another pass has to follow; 0: none
	count  int            // of marked documents
	fan    [][]byte       // documents that the change at hand concerns
	wide   bool           // it concerns too many: they are marked
}

// touch says that the change at hand concerns a document.
func (e *joinEngine) touch(key []byte) error {
	if d := e.dirty[string(key)]; d != nil {
		if d.last != e.csn {
			d.several, d.marked, d.last = true, false, e.csn
		}
		return nil
	}
	switch {
	case e.csn <= e.floor && safeguard.SilentCatchUp: // it is written, with whatever bytes
		return e.setDoc(key, docRecord{csn: e.csn})
	case e.wide || e.loop.catchingUp() || e.loop.held || len(e.order)+len(e.fan) >= e.most:
		return e.markDoc(key)
	}
	if e.fan = append(e.fan, bytes.Clone(key)); len(e.fan) <= e.settings.spreadAbove {
		return nil
	}
	e.wide = true
	for _, key := range e.fan {
		if err := e.markDoc(key); err != nil {
			return err
		}
	}
	e.fan = e.fan[:0]
	return nil
}

// touched ends the walk of a change: what it concerns waits for the window's end.
func (e *joinEngine) touched() error {
	e.wide = false
	for _, key := range e.fan {
		if e.dirty[string(key)] != nil {
			continue
		}
		was, err := e.doc(key)
		if err != nil {
			return err
		}
		d := &dirtyDoc{key: key, first: e.csn, last: e.csn, was: was}
		if was.pending && was.csn > e.floor { // it need not be spread any more
			d.several, d.first = true, was.csn
			e.count = max(e.count-1, 0)
		}
		e.dirty[string(key)], e.order = d, append(e.order, d)
	}
	e.fan = e.fan[:0]
	return nil
}

// markDoc marks a document to be written in a pass.
func (e *joinEngine) markDoc(key []byte) error {
	was, err := e.doc(key)
	if err != nil {
		return err
	}
	if !was.pending || was.csn <= e.floor {
		e.count++
	}
	switch {
	case !e.on:
		e.on, e.cursor, e.oldest = true, nil, e.csn
	case e.cursor != nil && e.again == 0:
		e.again = e.csn
	}
	return e.setDoc(key, docRecord{csn: e.csn, pending: true, parked: e.counted(was)})
}

// findUnwritten marks the documents that have changed since the progress: whatever is known of their bytes, the sink may not have them.
func (e *joinEngine) findUnwritten() error {
	low, high := prefix([]byte{docLetter})
	var sample docSample
	for {
		var keys [][]byte
		var known []eventstore.CSN
		var parse error
		var last []byte
		err := e.state.Scan(low, high, func(key, value []byte) bool {
			last = append(append(last[:0], key...), 0)
			r, err := parseDoc(value)
			if parse = err; err != nil {
				return false
			}
			switch {
			case r.csn > e.floor && (!r.pending || r.parked) && safeguard.Unwritten:
				keys, known = append(keys, bytes.Clone(key[1:])), append(known, r.csn)
				e.count++
			case r.csn > e.floor:
				e.count++
			case r.summed:
				sample.add(key[1:], r.sum)
			}
			return len(keys) < scanKeys
		})
		if err == nil {
			err = parse
		}
		if err != nil {
			return err
		}
		for i, key := range keys {
			if err := e.setDoc(key, docRecord{csn: known[i], pending: true}); err != nil {
				return err
			}
		}
		if len(keys) < scanKeys {
			break
		}
		low = last
	}
	if e.count > 0 {
		e.on, e.oldest = true, e.floor+1
	}
	return e.checkSample(sample)
}

// spreading is the number of documents that wait to be written between the windows.
func (e *joinEngine) spreading() int {
	if e.on && !e.loop.catchingUp() {
		return max(e.count, 1) // the pass has to come to its end
	}
	return 0
}

// oldest is the first change that is not in the sink, 0 when all are.
func (e *joinEngine) oldestPending() (csn eventstore.CSN) {
	if e.on {
		csn = e.oldest
	}
	if e.noted > 0 && (csn == 0 || e.noted < csn) {
		csn = e.noted
	}
	for _, d := range e.order {
		if csn == 0 || d.first < csn {
			csn = d.first
		}
	}
	return csn
}

// writeSpread goes on with the pass for about as long as a window, so that nothing else waits for longer.
func (e *joinEngine) writeSpread(ctx context.Context, w *writer, version Version) error {
	for began := time.Now(); e.on && !e.loop.catchingUp(); {
		keys, end, err := e.nextSpread()
		if err != nil {
			return err
		}
		for _, key := range keys {
			if e.dirty[string(key)] != nil {
				continue
			}
			if err := e.write(ctx, w, key, e.oldest, version, func(docSum) bool { return false }); err != nil {
				return err
			}
			e.count = max(e.count-1, 0)
		}
		if err := w.flush(ctx); err != nil {
			return err
		}
		switch {
		case end && e.again == 0:
			e.on, e.cursor, e.count = false, nil, 0
		case end:
			e.cursor, e.oldest, e.again = nil, e.again, 0
		}
		if time.Since(began) >= e.loop.cfg.Window {
			break
		}
	}
	return nil
}

// nextSpread returns the next pending documents of the pass, and whether its end is reached.
func (e *joinEngine) nextSpread() (keys [][]byte, end bool, err error) {
	low, high := prefix([]byte{docLetter})
	if e.cursor != nil {
		low = e.cursor
	}
	var parse error
	seen, limit := 0, min(scanKeys, e.loop.cfg.BatchDocuments)
	err = e.state.Scan(low, high, func(key, value []byte) bool {
		r, err := parseDoc(value)
		if parse = err; err != nil {
			return false
		}
		if r.pending && (r.csn > e.floor || !safeguard.SilentCatchUp) {
			keys = append(keys, bytes.Clone(key[1:]))
		}
		if seen++; seen == 100*scanKeys || len(keys) == limit {
			e.cursor = append(bytes.Clone(key), 0)
			return false
		}
		return true
	})
	if err == nil {
		err = parse
	}
	return keys, seen < 100*scanKeys && len(keys) < limit, err
}
