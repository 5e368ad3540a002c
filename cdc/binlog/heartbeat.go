package binlog

import "github.com/go-mysql-org/go-mysql/replication"

// isHeartbeat tells of an event that only says that the connection lives.
func isHeartbeat(raw []byte) bool {
	return len(raw) >= headerSize && replication.EventType(raw[4]) == replication.HEARTBEAT_EVENT
}

// The fields of HEARTBEAT_LOG_EVENT_V2.
const (
	heartbeatEnd    = 0
	heartbeatFile   = 1
	heartbeatOffset = 2
)

// heartbeat reads where a server stands in its binlog. MySQL says it in 64 bits, also when it has passed over transactions that the
// position has: events have the low half only, and more than 4 GiB may lie before the first one that is sent.
func (a *assembler) heartbeat(e event) {
	c := cursor{rest: e.body}
	var file string
	var offset uint64
	for !c.bad && len(c.rest) > 0 {
		field := c.lenenc()
		if field == heartbeatEnd {
			break
		}
		value := cursor{rest: c.take(c.lenenc())}
		switch field {
		case heartbeatFile:
			file = string(value.rest)
		case heartbeatOffset:
			if offset = value.lenenc(); value.bad {
				offset = 0
			}
		}
	}
	if !c.bad && file == a.file && offset > a.offset && !a.tx.open {
		a.offset = offset
	}
	a.marked = a.marks && !a.tx.open
}

// oldHeartbeat reads where a MariaDB server, or an old MySQL one, stands in its binlog: it has the low half of the end, and the file.
func (a *assembler) oldHeartbeat(e event) {
	if a.tx.open || e.end == 0 || string(e.body) != a.file {
		return
	}
	a.advance(e)
	a.marked = a.marks
}
