package projector

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// dirtyDoc is a document that waits for its window's end.
type dirtyDoc struct {
	key         []byte
	first, last eventstore.CSN // that changed it
	// several says that more than one transaction has changed it since it was written.
	several bool
	marked  bool // the state says that it waits, with csn last
	was     docRecord
}

// docRecord is what the state knows of a root's document.
type docRecord struct {
	// csn is that of its last change; where it is written, that of its version.
	csn eventstore.CSN
	// pending says that it was not acknowledged since the change.
	pending bool
	// parked says that it could not be made, and waits for its next change; or, if pending, that it was not written since.
	parked bool
	// sum is of the bytes that the sink holds, as far as it is known.
	sum    docSum
	summed bool
}

// docSum is zero for a document that does not exist.
type docSum [16]byte

// largeDoc is when a document was written that is so large that it may not be written in each window.
type largeDoc struct {
	written time.Time
	pause   time.Duration
}

// sentDoc is a document on its way to the sink.
type sentDoc struct {
	key []byte
	sum docSum
}

var errSameID = errors.New("two rows of the root table have this document id")

func sumOf(body []byte) (sum docSum) {
	if body != nil {
		whole := sha256.Sum256(body)
		copy(sum[:], whole[:])
		sum[0] |= 1
	}
	return sum
}

// doc returns what is known of a document, zero where nothing is.
func (e *joinEngine) doc(key []byte) (r docRecord, err error) {
	if r, found := e.docs.get(key); found {
		return r, nil
	}
	at := append(append(e.borrow(), docLetter), key...)
	value, found, err := e.state.Get(at)
	e.release(at)
	if err != nil || !found {
		return docRecord{}, err
	}
	if r, err = parseDoc(value); err == nil {
		e.docs.set(key, r, docOverhead)
	}
	return r, err
}

// docOverhead is what a record takes.
const docOverhead = 40

// What follows the csn in a record.
const (
	docWritten = 1 // its sum, where it is known
	docParked  = 2
	docMended  = 3 // parked, and pending since its next change
)

// parseDoc reads a record: the csn; a byte where the document is not pending; its sum.
func parseDoc(value []byte) (r docRecord, err error) {
	if n := len(value); n != 8 && n != 9 && n != 9+len(r.sum) {
		return r, lost("the record of a document has %d bytes", n)
	}
	r = docRecord{csn: eventstore.CSN(binary.BigEndian.Uint64(value)), pending: len(value) == 8 || value[8] == docMended, summed: len(value) > 9}
	if r.summed {
		copy(r.sum[:], value[9:])
	}
	r.parked = len(value) == 9 && value[8] >= docParked
	return r, nil
}

func (e *joinEngine) setDoc(key []byte, r docRecord) error {
	at := append(append(e.borrow(), docLetter), key...)
	value := binary.BigEndian.AppendUint64(e.borrow(), uint64(r.csn))
	switch {
	case r.parked && r.pending:
		value = append(value, docMended)
	case r.parked:
		value = append(value, docParked)
	case r.summed:
		value = append(append(value, docWritten), r.sum[:]...)
	case !r.pending:
		value = append(value, docWritten)
	}
	err := e.state.Set(at, value)
	e.releaseAll(at, value)
	e.docs.set(key, r, docOverhead)
	return err
}

// flush writes the documents of the window, and then some of those that are spread.
func (e *joinEngine) flush(ctx context.Context, at point, w *writer) error {
	if err := e.checkNotes(); err != nil {
		return err
	}
	version, err := NewVersion(e.loop.generation, at.csn)
	if err != nil {
		return err
	}
	e.virgin = false
	var failed error
	w.done = func(write Write, outcome Outcome) {
		sent := e.sent[write.ID]
		delete(e.sent, write.ID)
		err := e.setDoc(sent.key, docRecord{csn: at.csn, sum: sent.sum, summed: outcome == Applied})
		failed = errors.Join(failed, err)
		e.noteSize(sent.key, len(write.Body))
	}
	later := e.order[:0:0]
	for _, d := range e.order {
		if !at.waited && e.tooSoon(d) {
			d.several = true
			later = append(later, d)
			continue
		}
		if err := e.write(ctx, w, d.key, d.first, version, func(sum docSum) bool {
			// Same bytes: left out only if one transaction made them. With several, a state between them may be on its way from a paused
			// process, and nothing but a newer version keeps it out.
			return d.was.summed && d.was.sum == sum && (!d.several || !safeguard.Suppression)
		}); err != nil {
			return err
		}
	}
	if err := errors.Join(w.flush(ctx), failed); err != nil {
		return err
	}
	clear(e.dirty)
	for _, d := range later {
		e.dirty[string(d.key)] = d
	}
	e.order = later
	if err := e.writeSpread(ctx, w, version); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return e.commit(at.csn)
}

// write builds a document, changed since first, and puts it, unless same says that the sink has it.
func (e *joinEngine) write(ctx context.Context, w *writer, key []byte, first eventstore.CSN, version Version, same func(docSum) bool) error {
	id, body, err := e.make(key)
	fail := func(err error) error {
		return &DocumentError{Projector: e.loop.def.name, ID: id, CSN: version.CSN(), Err: err}
	}
	if err != nil && !errors.Is(err, ErrTooDeep) {
		return fail(err)
	}
	if err != nil || e.parked > 0 {
		was, unknown := e.doc(key)
		if unknown != nil {
			return fail(unknown)
		}
		if err != nil {
			return e.park(key, was, first, fail(err))
		}
		e.unpark(was)
	}
	sum := sumOf(body)
	if same(sum) {
		w.info.Unchanged++
		return e.setDoc(key, docRecord{csn: version.CSN(), sum: sum, summed: true})
	}
	if e.sent[id] != nil {
		return fail(errSameID)
	}
	e.sent[id] = &sentDoc{key, sum}
	return w.put(ctx, Write{ID: id, Version: version, Body: body})
}

// make makes a document from the rows as they are; nil where there is none.
func (e *joinEngine) make(key []byte) (id string, body []byte, err error) {
	if id, err = e.id(key); err != nil {
		return id, nil, err
	}
	row, err := e.get(e.tables[0].joinTable, key)
	if err != nil {
		return id, nil, err
	}
	var reads joinReads
	if row != nil {
		v := &View{rows: e, mark: e.mark}
		body, err = v.make(e.build, row)
		if err != nil && !errors.Is(err, ErrTooDeep) {
			return id, nil, err
		}
		reads = v.reads // if it was too deep, a change of these may mend it
		e.adviseParts(id, v.read, len(body))
	}
	return id, body, errors.Join(err, e.keepReads(0, 0, key, reads))
}

// manyRows and manyBytes are from where on a document should be made of parts.
const (
	manyRows  = 200
	manyBytes = 64 << 10
)

// adviseParts says once that documents are made of very many rows: each change of one of them reads the others.
func (e *joinEngine) adviseParts(id string, rows, size int) {
	if e.advised || rows <= manyRows && (size <= manyBytes || len(e.parts) > 0) {
		return
	}
	e.advised = true
	e.loop.log.Warn("projector makes a wide document without parts: each change of one of its rows reads all of them", "document", id, "rows", rows, "bytes", size)
}

// noteSize remembers when a large document was written.
func (e *joinEngine) noteSize(key []byte, size int) {
	pause := time.Duration(float64(size) / float64(e.settings.bytesPerSecond) * float64(time.Second))
	if pause > e.loop.cfg.Window {
		e.large[string(key)] = largeDoc{time.Now(), pause}
	} else {
		delete(e.large, string(key))
	}
}

// tooSoon tells whether a document has had its share of the writing for now.
func (e *joinEngine) tooSoon(d *dirtyDoc) bool {
	l, large := e.large[string(d.key)]
	return large && time.Since(l.written) < l.pause
}
