package supervise

import (
	"context"
	"sync"
)

// Pulse tells all that wait when something happens the next time. Its zero value is ready; it is safe for concurrent use.
type Pulse struct {
	mu sync.Mutex
	ch chan struct{}
}

// Next returns a channel that the next Beat closes.
func (p *Pulse) Next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch == nil {
		p.ch = make(chan struct{})
	}
	return p.ch
}

// Await returns when ok, which is asked now and behind each Beat, or with the cause of ctx's end.
func (p *Pulse) Await(ctx context.Context, ok func() bool) error {
	for {
		next := p.Next()
		if ok() {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Beat tells all that wait.
func (p *Pulse) Beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch != nil {
		close(p.ch)
		p.ch = nil
	}
}
