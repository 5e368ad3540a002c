package binlog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/gtid"
)

// xid is the id of an XA transaction.
type xid struct {
	format          uint64
	global, branch  string
	formatTruncated bool // only the low 32 bits of format are known
}

// String is the id as both servers write it in statements, whatever its user has typed: X'6f7264',X'31',1.
func (x xid) String() string {
	out := append([]byte("X'"), hex.EncodeToString([]byte(x.global))...)
	out = append(append(out, "',X'"...), hex.EncodeToString([]byte(x.branch))...)
	return string(strconv.AppendUint(append(out, "',"...), x.format, 10))
}

// is tells whether x may be y. An XA_PREPARE event has only the low half of the format.
func (x xid) is(y xid) bool {
	if x.formatTruncated || y.formatTruncated {
		x.format, y.format = x.format&(1<<32-1), y.format&(1<<32-1)
	}
	return x.global == y.global && x.branch == y.branch && x.format == y.format
}

// maxXIDPart is how long each of the two parts of an id may be.
const maxXIDPart = 64

// resume tells the assembler where its stream begins.
func (a *assembler) resume(from eventstore.Position) error {
	a.again = make(map[string]string, len(from.Prepared))
	for _, p := range from.Prepared {
		a.again[p.GTID] = p.XID
	}
	if a.flavor != gtid.MariaDB {
		return nil
	}
	var err error
	if a.executed, err = gtid.Parse(a.flavor, from.GTIDs); err != nil {
		return err
	}
	begin, err := startSet(a.flavor, from)
	if err != nil {
		return err
	}
	a.covered = maps.Collect(a.executed.Domains())
	for domain, last := range begin.Domains() {
		if last == a.covered[domain] {
			delete(a.covered, domain)
		}
	}
	return nil
}

// parseXAPrepare reads an XA_PREPARE event.
func parseXAPrepare(body []byte) (id xid, onePhase bool, err error) {
	c := cursor{rest: body}
	onePhase = c.uint(1) != 0
	id.format, id.formatTruncated = c.uint(4), true
	global, branch := c.uint(4), c.uint(4)
	if !c.bad && (global > maxXIDPart || branch > maxXIDPart) {
		return xid{}, false, errors.New("XA_PREPARE: an id of more than 64 bytes")
	}
	id.global, id.branch = string(c.take(global)), string(c.take(branch))
	if c.bad {
		return xid{}, false, fmt.Errorf("XA_PREPARE: %w", errShort)
	}
	return id, onePhase, nil
}

// xaStatement is an XA statement in the binlog: START, END, COMMIT or ROLLBACK of a transaction.
type xaStatement struct {
	verb string // upper case
	id   xid
}

var errXAStatement = errors.New("an XA statement that cannot be read")

// parseXA reads the text of an XA statement. Ids stand in it as X'67',X'62',1; 'text' and 0x67 are read as well, the branch and the
// format may be left out.
func parseXA(text string, mode sqlMode) (xaStatement, error) {
	w := newWords(text, mode)
	w.next() // XA
	s := xaStatement{verb: strings.ToUpper(w.next().text), id: xid{format: 1}}
	var err error
	if s.id.global, err = xidPart(&w); err != nil {
		return s, err
	}
	if w.peek().is(",") {
		w.next()
		if s.id.branch, err = xidPart(&w); err != nil {
			return s, err
		}
		if w.peek().is(",") {
			w.next()
			if s.id.format, err = strconv.ParseUint(w.next().text, 0, 64); err != nil {
				return s, errXAStatement
			}
		}
	}
	return s, nil
}

// xidPart reads one of the two texts of an id.
func xidPart(w *words) (string, error) {
	word := w.next()
	text := word.text
	switch {
	case word.quote != 0:
		return text, checkXIDPart(text)
	case word.is("X") && w.peek().quote != 0:
		text = w.next().text
	case len(text) > 2 && (strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X")):
		text = text[2:]
	default:
		return "", errXAStatement
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return "", errXAStatement
	}
	return string(raw), checkXIDPart(string(raw))
}

func checkXIDPart(part string) error {
	if len(part) > maxXIDPart {
		return errXAStatement
	}
	return nil
}

// xa takes an XA statement.
func (a *assembler) xa(q queryEvent) error {
	s, err := parseXA(q.text, q.mode)
	if err != nil {
		return a.fail(err)
	}
	switch s.verb {
	case "START", "BEGIN":
		if a.tx.began {
			return a.fail(errors.New("the transaction begins twice"))
		}
		a.tx.began, a.tx.xid = true, &s.id
		a.hold()
		return nil
	case "END": // MariaDB has no START
		if a.tx.held == nil || a.tx.xid != nil && *a.tx.xid != s.id {
			return a.fail(errors.New("XA END of a transaction that has not begun"))
		}
		a.tx.xid = &s.id
		return nil
	case "COMMIT", "ROLLBACK":
		if a.tx.began {
			return a.fail(fmt.Errorf("XA %s inside a transaction", s.verb))
		}
		return a.complete(s)
	}
	return a.fail(fmt.Errorf("XA %.20q in the binlog: not known", s.verb))
}

// prepare takes the end of an XA PREPARE: what was held goes on waiting for the statement that completes it. With one phase that was
// the commit.
func (a *assembler) prepare(e event) error {
	id, onePhase, err := parseXAPrepare(e.body)
	if err != nil {
		return a.fail(err)
	}
	if a.tx.held == nil || a.tx.ended {
		return a.fail(fmt.Errorf("%s outside an XA transaction", e.name()))
	}
	if a.tx.xid != nil {
		if !id.is(*a.tx.xid) {
			return a.fail(fmt.Errorf("%s of another transaction than the one it stands in", e.name()))
		}
		id = *a.tx.xid
	}
	if onePhase {
		return a.end(e)
	}
	if err := a.tx.held.seal(); err != nil {
		return err
	}
	p := &eventstore.Prepare{XID: id.String(), GTID: a.tx.gtid.id}
	if a.executed != nil {
		p.Before = a.executed.String()
	}
	if a.tx.again {
		want := a.again[p.GTID]
		if want != p.XID {
			return a.fail(fmt.Errorf("the position says that this transaction prepared %s, but it is %s", want, p.XID))
		}
		delete(a.again, p.GTID)
	}
	if before := a.prepared[p.XID]; before != nil {
		before.close() // the server takes an id again only when the one before has ended, if without a trace
	}
	if a.prepared == nil {
		a.prepared = map[string]*spool{}
	}
	a.prepared[p.XID] = a.tx.held
	a.tx.held, a.tx.prepared, a.tx.ended = nil, p, true
	return nil
}

// complete takes XA COMMIT, which brings the rows of the prepare, or XA ROLLBACK, which drops them.
func (a *assembler) complete(s xaStatement) error {
	id := s.id.String()
	held := a.prepared[id]
	a.tx.began = true
	if held == nil {
		a.tx.unprepared = &s
		return nil
	}
	delete(a.prepared, id)
	a.tx.completed = id
	if s.verb == "COMMIT" {
		a.tx.held = held
		return a.replay()
	}
	held.close()
	a.tx.ended = true
	return nil
}

// appendHeader appends the header that an event without checksum would have.
func (e event) appendHeader(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, e.time)
	dst = append(dst, byte(e.kind))
	dst = binary.LittleEndian.AppendUint32(dst, e.server)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(headerSize+len(e.body)))
	dst = binary.LittleEndian.AppendUint32(dst, e.end)
	return binary.LittleEndian.AppendUint16(dst, e.flags)
}
