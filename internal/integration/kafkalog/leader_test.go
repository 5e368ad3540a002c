package kafkalog

import (
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/eventstoretest"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

// contend waits for a turn in a process of its own, with what it sees of others in the channel.
func contend(t *testing.T, log *kafkalog.Log, name string, patience time.Duration) (seen chan eventstore.Leader, turn chan eventstore.Leadership) {
	t.Helper()
	seen, turn = make(chan eventstore.Leader, 100), make(chan eventstore.Leadership, 1)
	go func() {
		l, err := log.Lead(t.Context(), eventstore.Contender{Name: name, Patience: patience, Changed: func(now eventstore.Leader) { seen <- now }})
		if err != nil && t.Context().Err() == nil {
			t.Errorf("%s: %v", name, err)
		}
		turn <- l
	}()
	return seen, turn
}

// await reads what a contender sees until it sees a leader.
func await(t *testing.T, seen chan eventstore.Leader, name string) eventstore.Leader {
	t.Helper()
	for {
		select {
		case now := <-seen:
			if now.Name == name {
				return now
			}
		case <-t.Context().Done():
			t.Fatalf("%s was not seen to lead", name)
		}
	}
}

// A leader whose words do not arrive is replaced, and learns of it.
func TestUnheardLeader(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		s := store{addrs, pipeline()}
		network := &eventstoretest.Network{}
		_, first := contend(t, s.Open(t, network).(*kafkalog.Log), "first", time.Second)
		a := <-first
		seen, second := contend(t, s.Open(t, nil).(*kafkalog.Log), "second", time.Second)
		await(t, seen, "first")
		network.SetAll(eventstoretest.Drop)
		b := <-second
		defer b.Resign(t.Context())
		<-a.Lost()
		if err := a.Resign(t.Context()); err != nil {
			t.Errorf("resign a lost leadership: %v", err)
		}
		if before, now := a.Leader(), b.Leader(); now.Name != "second" || now.Term <= before.Term {
			t.Errorf("%+v leads after %+v", now, before)
		}
	})
}

// A leader goes on leading when the topic in which it says so is deleted: it makes it anew, and newcomers see who leads.
func TestLeaderTopicDeleted(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		_, first := contend(t, open(t, config(t, addrs, name)), "first", 2*time.Second)
		a := <-first
		defer a.Resign(t.Context())
		_, adm := admin(t, addrs)
		before, err := adm.ListTopics(t.Context(), name+".leader")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := adm.DeleteTopics(t.Context(), name+".leader"); err != nil {
			t.Fatal(err)
		}
		for { // it is another one, with the leader's words in it
			if now, err := adm.ListTopics(t.Context(), name+".leader"); err != nil || now[name+".leader"].ID == before[name+".leader"].ID {
				continue
			}
			if offsets, err := adm.ListEndOffsets(t.Context(), name+".leader"); err == nil && offsets.Error() == nil && len(offsets) > 0 {
				if o, ok := offsets.Lookup(name+".leader", 0); ok && o.Offset > 0 {
					break
				}
			}
		}
		seen, _ := contend(t, open(t, config(t, addrs, name)), "second", time.Minute)
		if now := await(t, seen, "first"); now.Term != a.Leader().Term {
			t.Errorf("a newcomer sees %+v, want %+v", now, a.Leader())
		}
	})
}
