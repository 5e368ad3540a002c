package sinkfront

import (
	"context"
	"encoding/gob"
	"net/http"

	"github.com/millrace-go/millrace/projector"
)

// Handler serves the methods of sink. It has no authentication: listen on loopback only.
func Handler(sink projector.Sink) http.Handler {
	mux := http.NewServeMux()
	method := func(name string, do func(ctx context.Context, c *call, r *reply) error) {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, req *http.Request) {
			var c call
			if err := gob.NewDecoder(req.Body).Decode(&c); err != nil {
				http.Error(w, "not a call", http.StatusBadRequest)
				return
			}
			var r reply
			r.fail(do(req.Context(), &c, &r))
			_ = gob.NewEncoder(w).Encode(r) // a client that has gone will ask again
		})
	}
	method("check", func(ctx context.Context, _ *call, _ *reply) error { return sink.Check(ctx) })
	method("prepare", func(ctx context.Context, c *call, _ *reply) error { return sink.Prepare(ctx, c.Target, c.Generation) })
	method("publish", func(ctx context.Context, c *call, _ *reply) error { return sink.Publish(ctx, c.Target, c.Generation) })
	method("apply", func(ctx context.Context, c *call, r *reply) error {
		results := make([]projector.Result, len(c.Writes))
		err := sink.Apply(ctx, c.Target, c.Generation, c.Writes, results)
		for _, one := range results {
			text := ""
			if one.Err != nil {
				text = one.Err.Error()
			}
			r.Results = append(r.Results, result{one.Outcome, one.Stored, text})
		}
		return err
	})
	method("get", func(ctx context.Context, c *call, r *reply) (err error) {
		r.Document, r.Found, err = sink.Get(ctx, c.Target, c.Generation, c.ID)
		return err
	})
	method("published", func(ctx context.Context, c *call, r *reply) (err error) {
		r.Generation, r.Found, err = sink.Published(ctx, c.Target)
		return err
	})
	method("progress", func(ctx context.Context, c *call, r *reply) (err error) {
		r.Progress, r.Found, err = sink.Progress(ctx, c.Projector)
		return err
	})
	method("save-progress", func(ctx context.Context, c *call, _ *reply) error {
		return sink.SaveProgress(ctx, c.Projector, c.Progress)
	})
	method("sweep", func(ctx context.Context, c *call, r *reply) (err error) {
		r.Swept, err = sink.Sweep(ctx, c.Target, c.Generation, c.Age)
		return err
	})
	return mux
}
