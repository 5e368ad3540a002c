package kafkalog

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
)

// fewBrokers is a cluster of which too many brokers are down to make a topic, for some requests.
type fewBrokers struct {
	next   kafka.RoundTripper
	suffix string // of the topics that cannot be made
	left   int    // requests
}

func (f *fewBrokers) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	if r, ok := req.(*createtopics.Request); ok && f.left > 0 && strings.HasSuffix(r.Topics[0].Name, f.suffix) {
		f.left--
		return &createtopics.Response{Topics: []createtopics.ResponseTopic{{Name: r.Topics[0].Name, ErrorCode: int16(kafka.InvalidReplicationFactor)}}}, nil
	}
	return f.next.RoundTrip(ctx, addr, req)
}

// A topic that cannot be made while a broker is down is made when it is back; that a log asks for more copies than there are brokers is said at once.
func TestTopicWhileBrokersAreDown(t *testing.T) {
	cfg := config(t, fake.addrs(t), pipeline())
	down := &fewBrokers{next: cfg.Transport, suffix: ".shop.stock", left: 3}
	cfg.Transport = down
	w := begin(t, open(t, cfg))
	mark(t, w, 0)
	if err := w.Append(t.Context(), everywhere(1)); err != nil || down.left != 0 {
		t.Errorf("append: %v, %d requests left", err, down.left)
	}
	cfg = config(t, fake.addrs(t), pipeline())
	cfg.Transport = &fewBrokers{next: cfg.Transport, suffix: ".watermark", left: 3}
	if _, err := open(t, cfg).Begin(t.Context()); !errors.Is(err, kafka.InvalidReplicationFactor) {
		t.Errorf("begin: %v, want the broker's refusal", err)
	}
}
