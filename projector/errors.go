package projector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/millrace-go/millrace/eventstore"
)

// ErrDefinition is returned when a read model was built by a newer Version of its [Fold], [Join] or [Query] than the running one.
var ErrDefinition = errors.New("the read model was built by a newer version of its definition")

// ErrDefinitionChanged is returned when a [Join] makes other documents of the same rows than it did before, with the same Version: its code was changed, or
// Build depends on something besides its rows. Raise the Version.
var ErrDefinitionChanged = errors.New("the definition makes other documents than before: raise its Version")

// ErrParked is returned to waiters of a projector that has written everything but documents that cannot be made: [Status.Parked] counts them.
var ErrParked = errors.New("documents are parked")

// DocumentError says that a document cannot be made or stored. It never holds document text.
type DocumentError struct {
	Projector string
	ID        string
	// Table is whose change could not be applied, Topic whose event; both are empty when the document could not be made or loaded of its rows, or
	// the sink refused it.
	Table, Topic string
	CSN          eventstore.CSN
	Err          error
}

func (e *DocumentError) Error() string {
	switch {
	case e.Topic != "":
		return fmt.Sprintf("document %q at csn %d, event of topic %s: %v", e.ID, e.CSN, e.Topic, e.Err)
	case e.Table != "":
		return fmt.Sprintf("document %q at csn %d, change of table %s: %v", e.ID, e.CSN, e.Table, e.Err)
	}
	return fmt.Sprintf("document %q at csn %d: %v", e.ID, e.CSN, e.Err)
}

// Unwrap returns the cause.
func (e *DocumentError) Unwrap() error { return e.Err }

// RowError says that a row or event of the log cannot be decoded, or that a function of the definition that says which documents it belongs to
// has failed, so that it is unknown which documents are concerned. It never holds row data.
type RowError struct {
	Projector string
	Table     string
	Topic     string // of an event, which has no table
	Place     eventstore.Place
	Err       error
}

func (e *RowError) Error() string {
	if e.Topic != "" {
		return fmt.Sprintf("event of topic %s at csn %d index %d: %v", e.Topic, e.Place.CSN, e.Place.Index, e.Err)
	}
	return fmt.Sprintf("row of table %s at csn %d index %d: %v", e.Table, e.Place.CSN, e.Place.Index, e.Err)
}

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.Err }

// PanicError is a panic of a user's function.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guard calls f and returns its panic as an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			stack := make([]byte, 8<<10)
			err = &PanicError{Value: v, Stack: stack[:runtime.Stack(stack, false)]}
		}
	}()
	return f()
}

// decode reads a row's image into a user's struct. Its errors name the column and the types, not the value.
func decode(image []byte, into any) error {
	err := json.Unmarshal(image, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("column %q does not fit the field's type %s", wrong.Field, wrong.Type)
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the image is not JSON, byte %d", bad.Offset)
	}
	return err
}

// mayPass tells whether an error of a sink or database may pass.
func mayPass(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// readMayPass tells whether an error of the log may pass.
func readMayPass(err error) bool {
	return errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}
