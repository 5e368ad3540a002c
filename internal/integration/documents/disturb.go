package documents

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// breath is how long a process is stopped, or works beside another, unless the load gets on quickly.
const breath = 2 * time.Second

// disturb kills and stops the projector's process, and damages its local state, at moments that are spread over the load.
func (r *run) disturb(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(r.cfg.Seed, 1<<32))
	var events []func(context.Context, *rand.Rand) error
	for n, event := range map[*int]func(context.Context, *rand.Rand) error{&r.cfg.Kills: r.kill, &r.cfg.Pauses: r.pause, &r.cfg.Losses: r.lose} {
		for range *n {
			events = append(events, event)
		}
	}
	rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for i, event := range events {
		if err := r.reached(ctx, (float64(i)+rnd.Float64())/float64(len(events))*0.98); err != nil {
			return err
		}
		if err := event(ctx, rnd); err != nil {
			return err
		}
	}
	return nil
}

// moment waits for one at which to kill the process: any, perhaps while it starts, or just after it has written documents.
func (r *run) moment(ctx context.Context, rnd *rand.Rand) error {
	if rnd.IntN(3) == 0 {
		return nil
	}
	select {
	case <-r.windowed.Next():
	case <-time.After(breath):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-time.After(time.Duration(rnd.IntN(int(window)))):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// kill kills the process, and keeps a copy of its local state.
func (r *run) kill(ctx context.Context, rnd *rand.Rand) error {
	if err := r.moment(ctx, rnd); err != nil {
		return err
	}
	r.kills.Add(1)
	r.projector.KillAnd(func() {
		err := errors.Join(os.RemoveAll(r.older()), os.CopyFS(r.older(), os.DirFS(r.states())))
		r.say("projector killed%s", but(err))
	})
	return nil
}

func (r *run) states() string { return filepath.Join(r.dir, "states") }
func (r *run) older() string  { return filepath.Join(r.dir, "older") }

func but(err error) string {
	if err == nil {
		return ""
	}
	return ", but: " + err.Error()
}

// pause stops the process for a while.
func (r *run) pause(ctx context.Context, _ *rand.Rand) error {
	if err := r.projector.Pause(); err != nil {
		return nil //nolint:nilerr // it has just ended, and is started again
	}
	r.pauses.Add(1)
	r.say("projector stopped")
	err := r.breathe(ctx)
	_ = r.projector.Continue() // it may have been killed
	return err
}

// breathe returns after a while.
func (r *run) breathe(ctx context.Context) error {
	select {
	case <-time.After(breath):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lose kills the process and damages its local state while it is down.
func (r *run) lose(ctx context.Context, rnd *rand.Rand) error {
	how := rnd.IntN(6)
	if err := r.moment(ctx, rnd); err != nil {
		return err
	}
	r.kills.Add(1)
	r.losses.Add(1)
	own := rand.New(rand.NewPCG(rnd.Uint64(), 0)) // the process's goroutine uses it
	r.projector.KillAnd(func() {
		what, err := r.damage(own, how)
		r.say("projector killed, %s%s", what, but(err))
	})
	return nil
}

// damage loses or damages the local states.
func (r *run) damage(rnd *rand.Rand, how int) (what string, err error) {
	if how == 0 {
		return "all local states removed", os.RemoveAll(r.states())
	}
	if _, err := os.Stat(r.older()); how == 1 && err == nil {
		return "all local states put back to older ones", errors.Join(os.RemoveAll(r.states()), os.CopyFS(r.states(), os.DirFS(r.older())))
	}
	all, err := filepath.Glob(filepath.Join(r.states(), "*"))
	if err != nil || len(all) == 0 {
		return "no local state was there", err
	}
	state := all[rnd.IntN(len(all))]
	if how == 2 {
		return filepath.Base(state) + " removed", os.RemoveAll(state)
	}
	// Any byte of all files, so that it is most often rows.
	type part struct {
		file string
		size int64
	}
	var files []part
	total := int64(0)
	err = filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			files, total = append(files, part{path, info.Size()}), total+info.Size()
		}
		return err
	})
	if err != nil || total == 0 {
		return "no file was there", err
	}
	at, file := rnd.Int64N(total), files[0].file
	for _, f := range files {
		if file = f.file; at < f.size {
			break
		}
		at -= f.size
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	name, err := filepath.Rel(r.states(), file)
	if err != nil {
		return "", err
	}
	if how == 3 {
		return fmt.Sprintf("%s cut to %d of %d bytes", name, at, info.Size()), os.Truncate(file, at)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	data[at] ^= 1 << rnd.IntN(8)
	return fmt.Sprintf("a bit of %s changed", name), os.WriteFile(file, data, info.Mode())
}

// disturbCut kills the process at every other cut, when the writers stand still: what is pending then has no later change to carry it.
func (r *run) disturbCut(ctx context.Context) error {
	n := len(r.evidence.cuts)
	if r.cfg.Kills+r.cfg.Losses == 0 || n%2 == 0 {
		return nil
	}
	rnd := rand.New(rand.NewPCG(r.cfg.Seed, 1<<34+uint64(n)))
	if n%4 == 1 {
		return r.lose(ctx, rnd)
	}
	return r.kill(ctx, rnd)
}

// rival has a second process work on the same documents now and then: the first one is stopped meanwhile, wakes up, and writes what it had in hand.
func (r *run) rival(ctx context.Context) error {
	for n := range r.cfg.Rivals {
		if err := r.reached(ctx, (float64(n)+0.5)/float64(r.cfg.Rivals)); err != nil {
			return err
		}
		other := r.child(filepath.Join(r.dir, "rival"))
		ended := make(chan error, 1)
		go func() { ended <- other.Run() }()
		err := other.WaitBegun(ctx)
		if err == nil {
			r.rivals.Add(1)
			select { // the first one is stopped while it writes, as far as it can be told from here
			case <-r.windowed.Next():
			case <-time.After(breath):
			case <-ctx.Done():
			}
			_ = r.projector.Pause() // it may have been killed
			r.say("a second projector works, the first one is stopped")
			err = r.breathe(ctx)
			_ = r.projector.Continue()
		}
		if err == nil {
			r.say("both projectors work")
			err = r.breathe(ctx)
		}
		other.Kill() // with whatever it has in hand; it may be started once more before it drains
		other.Drain()
		if err := errors.Join(err, <-ended); err != nil {
			return fmt.Errorf("second projector: %w", err)
		}
	}
	return nil
}
