package cdc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// While the stream has work one chunk is read at a time, and none for as long again; an idle stream, or Eager, lets all be read.
func TestScheduleYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		lag := &lagClock{}
		s := newSchedule(&SnapshotConfig{ChunkRows: 1600})
		s.lag = lag
		enter := func(wantRows int, wantYields bool) {
			t.Helper()
			if rows, yields, err := s.enter(ctx); err != nil || rows != wantRows || yields != wantYields {
				t.Fatalf("got %d rows, yields %t, %v, want %d, %t", rows, yields, err, wantRows, wantYields)
			}
		}
		enter(1600, false) // nothing was ever committed
		lag.time.Store(time.Now().UnixNano())
		lag.waiting.Store(time.Now().UnixNano())
		time.Sleep(2 * idleAfter)
		enter(1600, false)
		lag.waiting.Store(0) // a transaction has come
		began := time.Now()
		enter(100, true)
		impatient, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, _, err := s.enter(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second chunk beside the first: got %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			s.flushed(0, time.Millisecond)
			s.flushed(1, time.Millisecond)
		}()
		if err := s.settle(ctx, 1, time.Now().Add(-100*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 2*time.Second+maxRest {
			t.Errorf("settled after %v, want the log's answer and as long again, at most %v", took, maxRest)
		}
		s.leave()
		enter(113, true)
		s.eager = true
		enter(1600, false)
	})
}

// A chunk that yields becomes smaller while a flush with it takes longer than twice one without, and larger otherwise, within bounds.
func TestScheduleRows(t *testing.T) {
	s := newSchedule(&SnapshotConfig{ChunkRows: 1600})
	s.flushed(1, time.Hour) // with what it could be compared is not known
	if s.rows != 100 {
		t.Errorf("at first %d rows, want 100", s.rows)
	}
	s.flushed(0, 10*time.Millisecond)
	for range 100 {
		s.flushed(1, 20*time.Millisecond)
	}
	if s.rows != 200 {
		t.Errorf("when the stream does not notice: %d rows, want 200", s.rows)
	}
	s.flushed(1, 21*time.Millisecond)
	if s.rows != 175 {
		t.Errorf("when a flush takes longer: %d rows, want 175", s.rows)
	}
	for range 100 {
		s.flushed(0, 40*time.Millisecond)
	}
	s.flushed(1, 70*time.Millisecond)
	if s.rows != 197 {
		t.Errorf("when all flushes take longer: %d rows, want 197", s.rows)
	}
	for range 100 {
		s.flushed(1, time.Second)
	}
	if s.rows != 100 {
		t.Errorf("at least: %d rows, want 100", s.rows)
	}
	least := newSchedule(&SnapshotConfig{ChunkRows: 1})
	least.flushed(0, time.Millisecond)
	least.flushed(1, time.Millisecond)
	if least.rows != 1 {
		t.Errorf("of one row: %d", least.rows)
	}
}
