package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// errNotKafka says that something else listens on a broker's port.
var errNotKafka = errors.New("what listens there is not Kafka")

// firstReplyBytes is more than the first reply of any broker has: the list of its API versions.
const firstReplyBytes = 1 << 20

// dial connects to a broker. kafka-go believes whatever length a reply begins with, and spends gigabytes and minutes on the greeting
// of another service; so the first one is looked at.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &greeted{Conn: c}, nil
}

// greeted is a connection whose first reply is checked.
type greeted struct {
	net.Conn
	head [4]byte
	n    int
}

const tlsAlert = 0x15 // kafka-go knows what to say of it

// Read implements [net.Conn].
func (g *greeted) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if g.n == len(g.head) {
		return n, err
	}
	if g.n += copy(g.head[g.n:], p[:n]); g.n == len(g.head) && g.head[0] != tlsAlert {
		if size := binary.BigEndian.Uint32(g.head[:]); size > firstReplyBytes {
			return 0, fmt.Errorf("%w: it greets with %q", errNotKafka, g.head[:])
		}
	}
	return n, err
}
