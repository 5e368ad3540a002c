package transactions

import (
	"context"

	"github.com/millrace-go/millrace/cdc"
)

// breakages are what can be done wrong behind the library's back, by name: each changes a slice of the stream, and tells that it has.
// They are done to one XA transaction in the middle of the run.
var breakages = map[string]func(st *breaking, s *cdc.Slice) bool{
	// lose leaves out the rows of an XA COMMIT.
	"lose": func(_ *breaking, s *cdc.Slice) bool {
		if s.Completed == "" || len(s.Changes) == 0 {
			return false
		}
		s.Changes = nil
		return true
	},
	// reorder exchanges two rows of an XA COMMIT.
	"reorder": func(_ *breaking, s *cdc.Slice) bool {
		n := len(s.Changes)
		if s.Completed == "" || n < 2 {
			return false
		}
		a, b := &s.Changes[n-1], &s.Changes[n-2]
		a.Row, b.Row = b.Row, a.Row
		*a, *b = *b, *a
		return true
	},
	// phantom gives the rows of a rolled back XA transaction, as a source would that takes a prepare for a commit.
	"phantom": func(st *breaking, s *cdc.Slice) bool {
		if s.Completed != "" && len(s.Changes) > 0 {
			st.last = cloneChanges(s.Changes)
			return false
		}
		if s.Prepared == nil || st.last == nil {
			return false
		}
		s.Changes = st.last
		return true
	},
}

// broken returns source, with the named thing done wrong in it once.
func broken(source cdc.Source, name string) cdc.Source {
	if name == "" {
		return source
	}
	return &breakingSource{Source: source, change: breakages[name]}
}

type breakingSource struct {
	cdc.Source
	change func(*breaking, *cdc.Slice) bool
	done   bool
}

func (b *breakingSource) Open(ctx context.Context, from cdc.Position) (cdc.Stream, error) {
	stream, err := b.Source.Open(ctx, from)
	if err != nil {
		return nil, err
	}
	return &breaking{Stream: stream, source: b}, nil
}

type breaking struct {
	cdc.Stream
	source *breakingSource
	last   []cdc.Change
}

func (b *breaking) Next(ctx context.Context) (*cdc.Slice, error) {
	s, err := b.Stream.Next(ctx)
	if err == nil && !b.source.done {
		b.source.done = b.source.change(b, s)
	}
	return s, err
}

func cloneChanges(changes []cdc.Change) []cdc.Change {
	out := make([]cdc.Change, len(changes))
	for i, c := range changes {
		for _, b := range []*[]byte{&c.Key, &c.OldKey, &c.Before, &c.After} {
			if *b != nil {
				*b = append([]byte{}, *b...)
			}
		}
		out[i] = c
	}
	return out
}
