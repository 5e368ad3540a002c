package projector

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/internal/safeguard"
)

// errHeadBehind says that the sink holds a version that the log has never had.
var errHeadBehind = errors.New("the sink holds a version that lies above the log's end: it was written from another log; raise the projector's Version to build the read model anew")

// writer puts documents into the sink of one projector in requests of bounded size, and sees each through to its end.
type writer struct {
	loop    *loop
	batch   []Write
	bytes   int
	results []Result
	done    func(Write, Outcome) // told of each acknowledged write; may be nil
	info    WindowInfo
}

// put adds one write and sends a request when it is full. The write's body must stay as it is until flush has returned.
func (w *writer) put(ctx context.Context, write Write) error {
	if err := CheckID(write.ID); err != nil {
		return &DocumentError{Projector: w.loop.def.name, ID: write.ID, CSN: write.Version.CSN(), Err: err}
	}
	if len(w.batch) > 0 && w.bytes+len(write.Body) > w.loop.cfg.BatchBytes {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.batch = append(w.batch, write)
	w.bytes += len(write.Body)
	if len(w.batch) >= w.loop.cfg.BatchDocuments {
		return w.flush(ctx)
	}
	return nil
}

// flush sends what was put, and returns when the sink has all of it: applied, or newer. What may pass is repeated for ever.
func (w *writer) flush(ctx context.Context) error {
	for backoff, attempt := minBackoff, 1; len(w.batch) > 0; attempt++ {
		w.results = append(w.results[:0], make([]Result, len(w.batch))...)
		err := w.loop.retry(ctx, "write documents", mayPass, func() error {
			return w.loop.sink.Apply(ctx, w.loop.def.target, w.loop.generation, w.batch, w.results)
		})
		if err != nil {
			return fmt.Errorf("write documents: %w", err)
		}
		again, why, err := w.take(ctx)
		if err != nil {
			return err
		}
		if w.batch = again; len(again) == 0 {
			break
		}
		w.loop.retrying("write documents", attempt, backoff, fmt.Errorf("%d documents: %w", len(again), why))
		if !sleep(ctx, backoff) {
			return fmt.Errorf("write documents: %w", ctx.Err())
		}
		backoff = min(2*backoff, maxBackoff)
	}
	w.loop.state.retrying(nil)
	w.batch, w.bytes = w.batch[:0], 0
	return nil
}

// take reads a request's results one by one and returns the writes to repeat.
func (w *writer) take(ctx context.Context) (again []Write, why error, err error) {
	for i, write := range w.batch {
		r := w.results[i]
		switch r.Outcome {
		case Applied:
		case Stale:
			if err := w.loop.checkStale(ctx, write, r.Stored); err != nil {
				return nil, nil, err
			}
			w.info.Stale++
		case Retry:
			again, why = append(again, write), r.Err
			continue
		case Refused:
			if safeguard.RefusedHalts {
				return nil, nil, &DocumentError{Projector: w.loop.def.name, ID: write.ID, CSN: write.Version.CSN(), Err: r.Err}
			}
		default:
			return nil, nil, fmt.Errorf("write documents: sink %s gave no outcome for document %q", w.loop.sink.Kind(), write.ID)
		}
		w.info.Documents++
		w.info.Bytes += len(write.Body)
		if write.Body == nil {
			w.info.Deletes++
		}
		if w.done != nil {
			w.done(write, r.Outcome)
		}
	}
	return again, why, nil
}

// checkStale halts on a stored version that the log cannot have led to : every write would be refused
// in silence from now on.
func (l *loop) checkStale(ctx context.Context, write Write, stored Version) error {
	if !safeguard.AboveHead || stored == 0 || stored.Generation() == write.Version.Generation() && stored.CSN() <= l.state.headCSN() {
		return nil
	}
	if stored.Generation() == write.Version.Generation() {
		var above bool
		err := l.retry(ctx, "read the log's head", readMayPass, func() error {
			head, _, err := l.cfg.Log.Head(ctx)
			above = stored.CSN() > head.CSN
			return err
		})
		if err != nil {
			return fmt.Errorf("read the log's head: %w", err)
		}
		if !above {
			return nil
		}
	}
	return &DocumentError{Projector: l.def.name, ID: write.ID, CSN: write.Version.CSN(),
		Err: fmt.Errorf("stored at generation %d csn %d: %w", stored.Generation(), stored.CSN(), errHeadBehind)}
}
