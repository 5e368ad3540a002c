package projector

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// maxReads is how many free reads of one document or piece are recorded one by one. With more, any change of those tables counts.
const maxReads = 1_000

// indexSpace marks the number of an index where that of a table may stand.
const indexSpace = 0x8000

// reader identifies a document (part 0) or a piece (part number + 1) of a row.
func appendReader(dst []byte, table, part int, key []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(table))
	return append(binary.BigEndian.AppendUint16(dst, uint16(part)), key...)
}

// space returns the number of what was read.
func (e *joinEngine) space(r joinRead) int {
	if r.index != nil {
		return indexSpace | e.known[r.index]
	}
	return e.byTable[r.table].no
}

// keepReads stores what a reader has read freely, in place of what it had read before. Reads and the way back from a reader to them are in the same
// group as what was built.
func (e *joinEngine) keepReads(table, part int, key []byte, reads joinReads) error {
	if !e.free() {
		return nil
	}
	reader := appendReader(nil, table, part, key)
	var now [][]byte
	for r := range reads {
		if len(reads) > maxReads {
			now = append(now, append(appendNumbered(nil, wholeLetter, e.space(r)), reader...))
		} else {
			now = append(now, append(append(appendNumbered(nil, readLetter, e.space(r)), r.key...), reader...))
		}
	}
	slices.SortFunc(now, bytes.Compare)
	now = slices.CompactFunc(now, bytes.Equal)
	list := append([]byte{readerLetter}, reader...)
	stored, _, err := e.state.Get(list)
	if err != nil {
		return err
	}
	var text []byte
	for _, r := range now {
		text = append(binary.AppendUvarint(text, uint64(len(r))), r...)
	}
	if bytes.Equal(text, stored) {
		return nil
	}
	was, err := splitReads(stored)
	if err != nil {
		return err
	}
	for _, r := range was {
		if err := e.state.Delete(r); err != nil {
			return err
		}
	}
	for _, r := range now {
		if err := e.state.Set(r, nil); err != nil {
			return err
		}
	}
	e.meta.Recorded += len(now) - len(was)
	e.meta.Coarse = e.meta.Coarse || len(reads) > maxReads
	if len(now) == 0 {
		return e.state.Delete(list)
	}
	return e.state.Set(list, text)
}

func splitReads(text []byte) (reads [][]byte, err error) {
	for len(text) > 0 {
		size, n := binary.Uvarint(text)
		if n <= 0 || size > uint64(len(text)-n) {
			return nil, lost("a list of reads ends early")
		}
		reads = append(reads, bytes.Clone(text[n:n+int(size)]))
		text = text[n+int(size):]
	}
	return reads, nil
}

// readers visits the rows whose documents or pieces have read a key freely.
func (e *joinEngine) readers(space int, key []byte) error {
	if err := e.readersUnder(append(appendNumbered(nil, readLetter, space), key...)); err != nil {
		return err
	}
	if e.meta.Coarse {
		return e.readersUnder(appendNumbered(nil, wholeLetter, space))
	}
	return nil
}

func (e *joinEngine) readersUnder(at []byte) error {
	low, high := prefix(at)
	for {
		readers, err := e.keys(low, high, len(at))
		if err != nil {
			return err
		}
		for _, reader := range readers {
			if len(reader) < 4 {
				return lost("a read has no reader")
			}
			t := int(binary.BigEndian.Uint16(reader))
			if t >= len(e.tables) {
				return lost("a read has a reader of no table")
			}
			row, err := e.get(e.tables[t].joinTable, reader[4:])
			if err != nil {
				return err
			}
			if row == nil { // its own end was walked
				if err := e.keepReads(t, int(binary.BigEndian.Uint16(reader[2:])), reader[4:], nil); err != nil {
					return err
				}
				continue
			}
			if err := e.visit(e.tables[t], reader[4:], row); err != nil {
				return err
			}
		}
		if len(readers) < scanKeys {
			return nil
		}
		low = append(append(bytes.Clone(at), readers[len(readers)-1]...), 0)
	}
}
