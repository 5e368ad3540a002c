package exactlyonce

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// The steps of the protocol (docs/decisions/0002-relay-protocol.md) as they show in a relay's requests to Kafka. Each can be interrupted
// before its request is sent, and after its reply has come.
var (
	startSteps = []string{"5 init", "6 add", "6 end", "6 end again", "7 read", "9 add", "9 end", "9 end again", "10 read"}
	runSteps   = []string{"18 data", "20 watermark"}
	topicSteps = []string{"16 create", "16 list"} // a new table's first row
)

const tailStep = "13 tail" // there is none unless a flush was left unfinished

// gate holds the relay up at a step, once, until it is opened. It is safe for concurrent use.
type gate struct {
	tell func(step string) // hears that a request has reached the step

	mu    sync.Mutex
	armed string
	open  chan struct{}
}

// arm makes the next request that comes to step wait there.
func (g *gate) arm(step string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = step
}

// release lets what waits go on, and disarms.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = ""
	if g.open != nil {
		close(g.open)
		g.open = nil
	}
}

// pass tells whether it had to wait.
func (g *gate) pass(step string) bool {
	g.mu.Lock()
	if g.armed == "" || g.armed != step {
		g.mu.Unlock()
		return false
	}
	g.armed, g.open = "", make(chan struct{})
	open := g.open
	g.mu.Unlock()
	g.tell(step)
	<-open
	return true
}

// stepper is a [kafka.RoundTripper] that knows which step each request is.
type stepper struct {
	next      kafka.RoundTripper
	gate      *gate
	watermark string // the watermark topic

	mu        sync.Mutex
	fencing   string // "6" or "9"
	ended     int    // times that EndTxn was answered OK since the partitions were added
	written   bool   // since the producer id was given
	finishing bool   // a tail
	created   bool   // a topic, which is not listed yet
}

var _ kafka.RoundTripper = (*stepper)(nil)

// latestOffset asks for the end of a partition, where others ask for its begin.
const latestOffset = -1

// requestTime is how long a request may take that was held up: its own limit is over by then.
const requestTime = 15 * time.Second

// RoundTrip implements [kafka.RoundTripper].
func (s *stepper) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	step := s.step(req)
	if step == "" {
		return s.next.RoundTrip(ctx, addr, req)
	}
	if s.gate.pass(step+" before") && ctx.Err() != nil {
		// As a process that slept between the look at the clock and the send.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
		defer cancel()
		ctx = late
	}
	res, err := s.next.RoundTrip(ctx, addr, req)
	s.answered(req, res)
	if err == nil {
		s.gate.pass(step + " after")
	}
	return res, err
}

// step names a request; empty for one that is no step.
func (s *stepper) step(req protocol.Message) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r := req.(type) {
	case *initproducerid.Request:
		s.written, s.created = false, false
		return "5 init"
	case *addpartitionstotxn.Request:
		s.fencing, s.ended = "9", 0
		if r.Topics[0].Name == s.watermark {
			s.fencing = "6"
		}
		return s.fencing + " add"
	case *endtxn.Request:
		if s.ended > 0 {
			return s.fencing + " end again"
		}
		return s.fencing + " end"
	case *listoffsets.Request:
		switch {
		case s.written || r.Topics[0].Partitions[0].Timestamp != latestOffset:
			return ""
		case r.Topics[0].Topic == s.watermark:
			return "7 read"
		}
		return "10 read"
	case *createtopics.Request:
		if strings.HasSuffix(r.Topics[0].Name, ".watermark") {
			return ""
		}
		s.created = true
		return "16 create"
	case *rawproduce.Request:
		s.written = true
		if r.Topics[0].Topic == s.watermark {
			if s.created {
				s.created = false
				return "16 list"
			}
			return "20 watermark"
		}
		switch {
		case strings.HasSuffix(r.Topics[0].Topic, ".schema"):
			return ""
		case s.finishing:
			return tailStep
		}
		return "18 data"
	}
	return ""
}

// answered takes note of a reply.
func (s *stepper) answered(req protocol.Message, res protocol.Message) {
	if r, ok := res.(*endtxn.Response); ok && r.ErrorCode == 0 {
		if _, ok := req.(*endtxn.Request); ok {
			s.mu.Lock()
			s.ended++
			s.mu.Unlock()
		}
	}
}

// finishes tells whether a tail is being finished.
func (s *stepper) finishes(tail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing = tail
}

// both returns each step before and after its request.
func both(steps []string) (out []string) {
	for _, step := range steps {
		out = append(out, fmt.Sprint(step, " before"), fmt.Sprint(step, " after"))
	}
	return out
}
