package binlog

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-mysql-org/go-mysql/replication"
)

// A MariaDB server that crashes can have an XA transaction prepared again that had ended (MDEV-21469): 10.11 was seen to do so to XA COMMITs that
// other connections than the transaction's own had given, acknowledged up to 1.4 s before it was killed. Whoever finds it in XA RECOVER gives it a
// second end, which stands in the binlog as well. What that makes of the rows depends on the first end, which stands in the binlog before.

// xaEnd is an end of an XA transaction; the zero value is none.
type xaEnd struct {
	verb string // COMMIT or ROLLBACK
	gtid string // of the transaction that is the end
}

// endUnprepared takes an end of an XA transaction that is not prepared, when first, the end before it, has been looked for.
func (a *assembler) endUnprepared(first xaEnd) error {
	verb, id := a.tx.unprepared.verb, a.tx.unprepared.id.String()
	a.tx.unprepared, a.tx.ended = nil, true
	switch {
	case verb == first.verb, verb == "ROLLBACK" && first == xaEnd{}: // the second changes nothing; what was not committed may be rolled back
		return nil
	case first == xaEnd{}:
		return a.fail(fmt.Errorf("XA COMMIT of %s, whose XA PREPARE stands before the beginning of the stream: its rows are not known. "+
			"Fix: begin at a position before the XA PREPARE, or with it among the position's Prepared", id))
	case verb == "ROLLBACK":
		return a.fail(fmt.Errorf("XA ROLLBACK of %s, which was committed as %s: the server crashed after that and had it prepared again (MDEV-21469). "+
			"Its rows are in the log and on replicas, but no longer in the server's tables. Fix: start a new log with a snapshot, and make replicas anew", id, first.gtid))
	default:
		return a.fail(fmt.Errorf("XA COMMIT of %s, which was rolled back as %s: the server crashed after that and had it prepared again (MDEV-21469). "+
			"Its rows are in the server's tables, but neither in the log nor on replicas. Fix: start a new log with a snapshot, and make replicas anew", id, first.gtid))
	}
}

// maxLookBack is how many bytes of binlog files are looked through for a first end, besides the file that has the second one: what a crash undoes
// is of the last seconds before it.
const maxLookBack = 1 << 30

// lookBack looks for the end of an XA transaction before the one of the transaction at hand. Only MariaDB needs it.
func (s *stream) lookBack(ctx context.Context) (xaEnd, error) {
	if s.asm.flavor != MariaDB {
		return xaEnd{}, nil
	}
	end, err := s.conn.lastXAEnd(ctx, s.asm.tx.unprepared.id, s.asm.tx.gtid.id, s.asm.file)
	if err != nil {
		return end, fmt.Errorf("look for the first end of XA transaction %s, which ends again as %s: %w", s.asm.tx.unprepared.id, s.asm.tx.gtid.id, err)
	}
	return end, nil
}

// lastXAEnd returns the last end of an XA transaction before the transaction before, which stands in file.
func (c *conn) lastXAEnd(ctx context.Context, id xid, before, file string) (xaEnd, error) {
	d, err := connect(ctx, c.cfg)
	if err != nil {
		return xaEnd{}, err
	}
	files, err := d.rows(ctx, "SHOW BINARY LOGS")
	d.close()
	if err != nil {
		return xaEnd{}, err
	}
	last := slices.IndexFunc(files, func(row map[string]string) bool { return row["log_name"] == file })
	if last < 0 {
		return xaEnd{}, fmt.Errorf("%s does not list the binlog file %s, which it sends", c.cfg.Addr, file)
	}
	for i, room := last, uint64(maxLookBack); i >= 0; i-- {
		if i < last {
			size, err := strconv.ParseUint(files[i]["file_size"], 10, 64)
			if err != nil {
				return xaEnd{}, fmt.Errorf("size of binlog file %s: %w", files[i]["log_name"], err)
			}
			if size > room {
				break
			}
			room -= size
		}
		search := &xaSearch{id: id, before: before, asm: assembler{charsets: newCharsets(nil)}}
		if err := c.readFile(ctx, files[i]["log_name"], search.take); err != nil {
			return xaEnd{}, err
		}
		if search.end != (xaEnd{}) || search.prepared {
			return search.end, nil
		}
	}
	return xaEnd{}, nil
}

// xaSearch goes through a binlog file.
type xaSearch struct {
	id     xid
	before string    // the transaction it ends at
	asm    assembler // parses events

	gtid     string // of the transaction at hand
	prepared bool   // the last that came of id was its XA PREPARE
	end      xaEnd  // or this
}

// take takes the next event, and tells whether there are more to be taken.
func (x *xaSearch) take(raw []byte) (more bool, err error) {
	e := parseHeader(raw)
	if e.kind == replication.FORMAT_DESCRIPTION_EVENT {
		x.asm.format, err = parseFormat(raw)
		return err == nil, err
	}
	switch e.kind {
	case replication.ROTATE_EVENT, replication.MARIADB_GTID_EVENT, replication.QUERY_EVENT, replication.MARIADB_QUERY_COMPRESSED_EVENT, replication.XA_PREPARE_LOG_EVENT:
	default:
		return true, nil
	}
	if e.kind == replication.ROTATE_EVENT { // one that the server makes up before the file begins, or the file's last event
		return e.flags&flagArtificial != 0 && x.asm.format.postHeader == nil, nil
	}
	if e, err = parseEvent(raw, x.asm.format.checksum); err != nil {
		return false, err
	}
	switch e.kind {
	case replication.MARIADB_GTID_EVENT:
		g, err := parseMariaDBGTID(e)
		x.gtid = g.id
		return err == nil && g.id != x.before, err
	case replication.XA_PREPARE_LOG_EVENT:
		id, onePhase, err := parseXAPrepare(e.body)
		if err == nil && !onePhase && id.is(x.id) {
			x.prepared, x.end = true, xaEnd{}
		}
		return err == nil, err
	}
	q, s, err := x.asm.statement(e)
	if err != nil || s.kind != queryXA {
		return err == nil, err
	}
	xa, err := parseXA(q.text, q.mode)
	if err == nil && xa.id == x.id && (xa.verb == "COMMIT" || xa.verb == "ROLLBACK") {
		x.prepared, x.end = false, xaEnd{xa.verb, x.gtid}
	}
	return err == nil, err
}
