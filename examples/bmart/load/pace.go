package load

import (
	"context"
	"time"
)

// pace holds workers back so that together they change at most a number of rows a second.
type pace struct {
	start  time.Time
	perRow time.Duration
}

func newPace(rate int) *pace {
	p := &pace{start: time.Now()}
	if rate > 0 {
		p.perRow = time.Second / time.Duration(rate)
	}
	return p
}

// wait returns when row number rows is due, or false when ctx ends.
func (p *pace) wait(ctx context.Context, rows int) bool {
	due := time.Until(p.start.Add(time.Duration(rows) * p.perRow))
	if due <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(due):
		return true
	}
}
