package sinkfront

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrace-go/millrace/projector"
)

// call is one call of a method, the body of a request. Methods use the fields that are their arguments.
type call struct {
	Target     projector.Target
	Generation uint64
	Writes     []projector.Write
	ID         string
	Projector  string
	Progress   projector.Progress
	Age        time.Duration
}

// reply holds a method's results.
type reply struct {
	Error       string
	Unavailable bool
	Results     []result
	Document    projector.Document
	Generation  uint64
	Progress    projector.Progress
	Found       bool
	Swept       int
}

// result is a projector.Result with its error as text.
type result struct {
	Outcome projector.Outcome
	Stored  projector.Version
	Error   string
}

func (r *reply) fail(err error) {
	if err != nil {
		r.Error, r.Unavailable = err.Error(), errors.Is(err, projector.ErrUnavailable)
	}
}

func (r *reply) err() error {
	switch {
	case r.Error == "":
		return nil
	case r.Unavailable:
		return fmt.Errorf("%w: %s", projector.ErrUnavailable, r.Error)
	default:
		return errors.New(r.Error)
	}
}
