package snapshot

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/eventstore"
)

// liveTable is the table that the steady stream changes.
const liveTable = "live"

// stopwatch measures how long commits take until another Kafka client sees them: from the answer to the commit on. A transaction inserts one row, whose id
// says when its commit was answered.
type stopwatch struct {
	mu      sync.Mutex
	answers map[int64]time.Time // of commits that have not arrived
	early   map[int64]time.Time // arrivals of commits whose answer has not been noted yet
	took    []time.Duration
	seen    int64
}

func newStopwatch() *stopwatch {
	return &stopwatch{answers: map[int64]time.Time{}, early: map[int64]time.Time{}}
}

func (s *stopwatch) answered(id int64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if arrived, ok := s.early[id]; ok {
		delete(s.early, id)
		s.took = append(s.took, max(0, arrived.Sub(at)))
		return
	}
	s.answers[id] = at
}

func (s *stopwatch) arrived(id int64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if answered, ok := s.answers[id]; ok {
		delete(s.answers, id)
		s.took = append(s.took, at.Sub(answered))
		return
	}
	s.early[id] = at
}

// lap returns what was measured since the last lap, sorted.
func (s *stopwatch) lap() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := s.took
	s.took = nil
	slices.Sort(took)
	return took
}

// quantile returns a quantile of sorted durations, 0 of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// commit commits so many transactions a second over some connections, until stop is closed.
func (s *stopwatch) commit(ctx context.Context, pool *sql.DB, rate, connections int, stop <-chan struct{}) error {
	errs := make(chan error, connections)
	began := time.Now()
	for c := range connections {
		go func() {
			for n := 0; ; n++ {
				id := int64(n*connections + c)
				select {
				case <-time.After(time.Until(began.Add(time.Duration(id) * time.Second / time.Duration(rate)))):
				case <-stop:
					errs <- nil
					return
				case <-ctx.Done():
					errs <- context.Cause(ctx)
					return
				}
				if _, err := pool.ExecContext(ctx, "INSERT INTO "+schemaName+"."+liveTable+" VALUES (?, 'a commit of the steady stream')", id); err != nil {
					errs <- fmt.Errorf("commit: %w", err)
					return
				}
				s.answered(id, time.Now())
			}
		}()
	}
	var err error
	for range connections {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return err
}

// listen reads the table's topic until ctx ends.
func (s *stopwatch) listen(ctx context.Context, broker, pipeline string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(pipeline+"."+eventstore.RowTopic(schemaName, liveTable)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMinBytes(1), kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		now := time.Now()
		for it := fetches.RecordIter(); !it.Done(); {
			id, err := liveID(it.Next().Key)
			if err != nil {
				return err
			}
			s.arrived(id, now)
		}
	}
}

// liveID reads a key: {"id":7}.
func liveID(key []byte) (int64, error) {
	if len(key) < 8 {
		return 0, fmt.Errorf("key %q", key)
	}
	return strconv.ParseInt(string(key[6:len(key)-1]), 10, 64)
}
