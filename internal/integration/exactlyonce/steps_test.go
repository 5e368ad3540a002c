package exactlyonce

import (
	"context"
	"net"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// answers is a broker that says yes, and notes what it was asked.
type answers struct{ asked int }

func (a *answers) RoundTrip(_ context.Context, _ net.Addr, req kafka.Request) (kafka.Response, error) {
	a.asked++
	if _, ok := req.(*endtxn.Request); ok {
		return &endtxn.Response{}, nil
	}
	return nil, nil
}

func ask(topic string, at int64) *listoffsets.Request {
	return &listoffsets.Request{Topics: []listoffsets.RequestTopic{{Topic: topic, Partitions: []listoffsets.RequestPartition{{Timestamp: at}}}}}
}

func add(topic string) *addpartitionstotxn.Request {
	return &addpartitionstotxn.Request{Topics: []addpartitionstotxn.RequestTopic{{Name: topic}}}
}

func produce(topic string) *rawproduce.Request {
	return &rawproduce.Request{Topics: []rawproduce.RequestTopic{{Topic: topic, Partitions: make([]rawproduce.RequestPartition, 1)}}}
}

// One life of a relay, request by request, and what each is called.
func TestStepsAreNamed(t *testing.T) {
	s := &stepper{next: &answers{}, gate: &gate{}, watermark: "p.watermark"}
	var got []string
	for _, req := range []protocol.Message{
		&initproducerid.Request{}, add("p.watermark"), &endtxn.Request{}, &endtxn.Request{}, ask("p.watermark", -2), ask("p.watermark", -1),
		add("p.work.item"), &endtxn.Request{}, &endtxn.Request{}, ask("p.work.item", -2), ask("p.work.item", -1),
		produce("p.work.item"), produce("p.schema"), produce("p.watermark"),
		&createtopics.Request{Topics: []createtopics.RequestTopic{{Name: "p.work.fresh"}}}, ask("p.work.fresh", -1), produce("p.watermark"), produce("p.watermark"),
	} {
		if name := s.step(req); name != "" {
			got = append(got, name)
		}
		if _, ok := req.(*endtxn.Request); ok {
			s.answered(req, &endtxn.Response{})
		}
	}
	want := slices.Concat(startSteps, runSteps, topicSteps, []string{"20 watermark"})
	if !slices.Equal(got, want) {
		t.Errorf("steps are\n%q, want\n%q", got, want)
	}
}

// A relay waits at the step that is armed, once, before the request or after it, until it is told to go on.
func TestGate(t *testing.T) {
	broker, reached := &answers{}, make(chan string)
	g := &gate{tell: func(step string) { reached <- step }}
	s := &stepper{next: broker, gate: g, watermark: "p.watermark"}
	send := func() chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.RoundTrip(t.Context(), nil, &initproducerid.Request{})
		}()
		return done
	}
	for when, asked := range map[string]int{"before": 0, "after": 1} {
		broker.asked = 0
		g.arm("5 init " + when)
		done := send()
		if step := <-reached; step != "5 init "+when {
			t.Fatalf("reached %q", step)
		}
		select {
		case <-done:
			t.Errorf("%s: it did not wait", when)
		default:
		}
		if broker.asked != asked {
			t.Errorf("%s: the broker was asked %d times, want %d", when, broker.asked, asked)
		}
		g.release()
		<-done
		<-send() // once
	}
}
