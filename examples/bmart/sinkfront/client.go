package sinkfront

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/millrace-go/millrace/projector"
)

// Client is a projector.Sink whose methods a [Handler] executes. It is safe for concurrent use and needs no closing.
type Client struct {
	url, kind string
	http      *http.Client
}

var _ projector.Sink = (*Client)(nil)

// NewClient returns a client of the handler at url, e.g. "http://127.0.0.1:4711". kind is that of the sink behind it.
func NewClient(url, kind string) *Client {
	return &Client{url: url, kind: kind, http: &http.Client{Timeout: 30 * time.Second}}
}

func (c *Client) call(ctx context.Context, method string, args call) (*reply, error) {
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(args); err != nil {
		return nil, fmt.Errorf("sink %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/"+method, &body)
	if err != nil {
		return nil, fmt.Errorf("sink %s: %w", method, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unavailable(ctx, method, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("sink %s: status %s", method, resp.Status)
	}
	var r reply
	if err := gob.NewDecoder(resp.Body).Decode(&r); err != nil {
		return nil, unavailable(ctx, method, err)
	}
	return &r, r.err()
}

func unavailable(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sink %s: %w", method, err)
	}
	return fmt.Errorf("sink %s: %w: %w", method, projector.ErrUnavailable, err)
}

// Kind is the kind given to [NewClient].
func (c *Client) Kind() string { return c.kind }

// Check implements projector.Sink.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.call(ctx, "check", call{})
	return err
}

// Prepare implements projector.Sink.
func (c *Client) Prepare(ctx context.Context, t projector.Target, generation uint64) error {
	_, err := c.call(ctx, "prepare", call{Target: t, Generation: generation})
	return err
}

// Apply implements projector.Sink.
func (c *Client) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	if len(writes) != len(results) {
		return fmt.Errorf("sink apply: %d writes, but room for %d results", len(writes), len(results))
	}
	r, err := c.call(ctx, "apply", call{Target: t, Generation: generation, Writes: writes})
	if err != nil {
		return err
	}
	if len(r.Results) != len(writes) {
		return fmt.Errorf("sink apply: %d results for %d writes", len(r.Results), len(writes))
	}
	for i, one := range r.Results {
		results[i] = projector.Result{Outcome: one.Outcome, Stored: one.Stored}
		if one.Error != "" {
			results[i].Err = errors.New(one.Error)
		}
	}
	return nil
}

// Get implements projector.Sink.
func (c *Client) Get(ctx context.Context, t projector.Target, generation uint64, id string) (projector.Document, bool, error) {
	r, err := c.call(ctx, "get", call{Target: t, Generation: generation, ID: id})
	if err != nil {
		return projector.Document{}, false, err
	}
	return r.Document, r.Found, nil
}

// Publish implements projector.Sink.
func (c *Client) Publish(ctx context.Context, t projector.Target, generation uint64) error {
	_, err := c.call(ctx, "publish", call{Target: t, Generation: generation})
	return err
}

// Published implements projector.Sink.
func (c *Client) Published(ctx context.Context, t projector.Target) (uint64, bool, error) {
	r, err := c.call(ctx, "published", call{Target: t})
	if err != nil {
		return 0, false, err
	}
	return r.Generation, r.Found, nil
}

// Progress implements projector.Sink.
func (c *Client) Progress(ctx context.Context, name string) (projector.Progress, bool, error) {
	r, err := c.call(ctx, "progress", call{Projector: name})
	if err != nil {
		return projector.Progress{}, false, err
	}
	return r.Progress, r.Found, nil
}

// SaveProgress implements projector.Sink.
func (c *Client) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	_, err := c.call(ctx, "save-progress", call{Projector: name, Progress: p})
	return err
}

// Sweep implements projector.Sink.
func (c *Client) Sweep(ctx context.Context, t projector.Target, generation uint64, age time.Duration) (int, error) {
	r, err := c.call(ctx, "sweep", call{Target: t, Generation: generation, Age: age})
	if err != nil {
		return 0, err
	}
	return r.Swept, nil
}
