package projector

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Meta says where an event stands in the log.
type Meta struct {
	eventstore.Place
	Topic string
	// Key is the record's key. It is valid during the call.
	Key []byte
	// Time is the commit time, as precise as the source has it.
	Time time.Time
}

// EventDecoder reads an event from a record of its topic; ok is false for those that the source does not want, e.g. of another type. E must
// not hold on to the record's bytes. An error or panic halts the projector.
type EventDecoder[E any] func(rec *eventstore.Record) (event E, ok bool, err error)

// eventTopic is a topic of events that a definition follows.
type eventTopic[E any] struct {
	topic  string
	decode EventDecoder[E]
}

func (t eventTopic[E]) check() error {
	switch {
	case t.topic == "" || t.topic == eventstore.SchemaTopic:
		return fmt.Errorf("topic %q is none of events", t.topic)
	case t.decode == nil:
		return fmt.Errorf("events of topic %s: decode is nil", t.topic)
	}
	return nil
}

// event decodes a record and has ids say which documents, or keys that lead to them, it concerns.
func (t eventTopic[E]) event(rec *eventstore.Record, ids func(Meta, E) []string) (meta Meta, e E, concerned []string, err error) {
	meta = Meta{Place: rec.Place, Topic: rec.Topic, Key: rec.Key, Time: rec.Time}
	ok := false
	err = guard(func() error {
		if e, ok, err = t.decode(rec); err != nil || !ok {
			return err
		}
		concerned = ids(meta, e)
		return nil
	})
	return meta, e, concerned, err
}

// eventEngine is an engine whose definition may follow events.
type eventEngine interface {
	// event takes one record of one of the definition's topics of events, in the log's order.
	event(rec *eventstore.Record) error
}

// OnEvent follows a topic of events: records that are no rows. ids says which documents an event belongs to, apply is called for each of them, once. Both must
// depend on nothing but their arguments.
//
// A sum is safe: each event is applied to a document once, in commit order across all sources of the [Fold], whatever is killed and read again.
//
// An error or panic of any of the functions halts the projector.
func OnEvent[E, D any](topic string, decode EventDecoder[E], ids func(meta Meta, event E) []string, apply func(d *Doc[D], meta Meta, event E) error) Source[D] {
	t := eventTopic[E]{topic, decode}
	err := t.check()
	if err == nil && (ids == nil || apply == nil) {
		err = errors.New("events of topic " + topic + ": ids or apply is nil")
	}
	return Source[D]{topic: topic, err: err, openEvents: func() foldEvents[D] { return &eventSource[E, D]{t, ids, apply} }}
}

// foldEvents is a source of events at work.
type foldEvents[D any] interface {
	event(f *foldEngine[D], rec *eventstore.Record) error
}

type eventSource[E, D any] struct {
	eventTopic[E]
	ids   func(Meta, E) []string
	apply func(*Doc[D], Meta, E) error
}

func (s *eventSource[E, D]) event(f *foldEngine[D], rec *eventstore.Record) error {
	meta, e, ids, err := s.eventTopic.event(rec, s.ids)
	if err != nil {
		return &RowError{Projector: f.loop.def.name, Topic: s.topic, Place: rec.Place, Err: err}
	}
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		if err := f.apply(id, "", s.topic, rec.CSN, func(d *Doc[D]) error { return s.apply(d, meta, e) }); err != nil {
			return err
		}
	}
	return nil
}

// OnTopic follows a topic of events, which hold the ids of the documents they concern, as [OnTable] follows a table. ids must depend on nothing but its
// arguments.
func OnTopic[E any](topic string, decode EventDecoder[E], ids func(meta Meta, event E) []string) QueryTable {
	t := eventTopic[E]{topic, decode}
	err := t.check()
	if err == nil && ids == nil {
		err = errors.New("events of topic " + topic + ": ids is nil")
	}
	return QueryTable{topic: topic, err: err, events: func(rec *eventstore.Record) ([]string, error) {
		_, _, concerned, err := t.event(rec, ids)
		return concerned, err
	}}
}
