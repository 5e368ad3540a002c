package projector

import (
	"context"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// open finds out where the read model stands, prepares its generation and makes the engine.
//
// A read model that a lower Version has built goes on being read while the new one is built from the log's start in
// the next generation; so does one whose progress is lost.
func (l *loop) open(ctx context.Context) error {
	var (
		p            Progress
		found, live  bool
		published    uint64
		head         eventstore.Watermark
		hasHead      bool
		fresh        = true
		name, target = l.def.name, l.def.target
	)
	err := l.retry(ctx, "read progress", mayPass, func() (err error) {
		if p, found, err = l.sink.Progress(ctx, name); err != nil {
			return err
		}
		published, live, err = l.sink.Published(ctx, target)
		return err
	})
	if err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	err = l.retry(ctx, "read the log's head", readMayPass, func() (err error) {
		head, hasHead, err = l.cfg.Log.Head(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the log's head: %w", err)
	}
	switch {
	case !found && live:
		l.generation = published + 1
	case !found:
		l.generation = 1
	case p.Definition > l.def.version:
		return fmt.Errorf("%w: it was built by Version %d, this is Version %d: raise it above %d to build it anew", ErrDefinition, p.Definition, l.def.version, p.Definition)
	case p.Definition < l.def.version:
		l.generation = p.Generation + 1
	default:
		l.generation, fresh = p.Generation, false
	}
	if fresh {
		p = Progress{Generation: l.generation, Definition: l.def.version}
	}
	if _, err := NewVersion(l.generation, 0); err != nil {
		return fmt.Errorf("the read model was built anew too often: %w", err)
	}
	l.saved, l.headAtStart, l.headThen, l.logID = p, head.CSN, head.Position, ""
	if hasHead {
		if err := l.adopt(ctx, head); err != nil {
			return err
		}
	}
	if err := l.checkStore(ctx, p); err != nil {
		return err
	}
	err = l.retry(ctx, "prepare target", mayPass, func() error { return l.sink.Prepare(ctx, target, l.generation) })
	if err != nil {
		return fmt.Errorf("prepare target %q: %w", target.Name, err)
	}
	if l.engine, err = l.projector.start(ctx, l, p.CSN); err != nil {
		return err
	}
	l.applied, l.last, l.executed = l.engine.after(), eventstore.Place{CSN: l.engine.after(), Index: ^uint64(0)}, eventstore.Position{}
	l.written = p.CSN
	if l.held, err = l.incomplete(head); err != nil {
		return err
	}
	l.published, l.replaces = live && published == l.generation, live
	l.state.update(func(s *Status) {
		s.Generation, s.Published, s.CSN, s.HeadCSN, s.Held = l.generation, l.published, p.CSN, head.CSN, l.held
	})
	l.log.Info("projector begins", "generation", l.generation, "csn", p.CSN, "head", head.CSN, "published", l.published)
	if !l.held {
		l.reach()
	}
	return l.publish(ctx)
}

// adopt checks that the log is the one the read model was built from, and records the log of a new one before its first document.
func (l *loop) adopt(ctx context.Context, w eventstore.Watermark) error {
	switch {
	case l.saved.LogID == "":
		p := l.saved
		p.LogID, p.Begun = w.LogID, l.headAtStart
		if err := l.save(ctx, p); err != nil {
			return err
		}
	case l.saved.LogID != w.LogID && safeguard.LogIdentity:
		return fmt.Errorf("%w: the read model was built from log %s, this is log %s: raise the projector's Version to build it anew", eventstore.ErrLogMismatch, l.saved.LogID, w.LogID)
	case l.saved.CSN > w.CSN:
		return fmt.Errorf("%w: the read model is at csn %d, the log ends at %d: the log has lost what was in it", eventstore.ErrLogMismatch, l.saved.CSN, w.CSN)
	}
	l.logID = w.LogID
	return nil
}

// checkStore halts when documents are recorded as written and their store is not there: Prepare would make an empty one, and what is in
// the log below the progress would never be written again.
func (l *loop) checkStore(ctx context.Context, p Progress) error {
	if p.CSN == 0 {
		return nil
	}
	err := l.retry(ctx, "look at target", mayPass, func() error {
		_, _, err := l.sink.Get(ctx, l.def.target, l.generation, "any")
		return err
	})
	if err != nil {
		return fmt.Errorf("target %q: documents are written up to csn %d, but the store of generation %d cannot be read: if it is gone, raise the projector's Version to build it anew: %w",
			l.def.target.Name, p.CSN, l.generation, err)
	}
	return nil
}

// publish lets readers see the generation, once it has reached what was the log's end at the start: never a state older than
// the one they saw before. A log that is not there yet replaces nothing.
func (l *loop) publish(ctx context.Context) error {
	if l.published || l.held || l.written < l.headAtStart && safeguard.PublishAtHead || l.logID == "" && l.replaces {
		return nil
	}
	err := l.retry(ctx, "publish", mayPass, func() error { return l.sink.Publish(ctx, l.def.target, l.generation) })
	if err != nil {
		return fmt.Errorf("publish generation %d of target %q: %w", l.generation, l.def.target.Name, err)
	}
	l.published = true
	l.log.Info("projector published", "generation", l.generation, "csn", l.written)
	if l.cfg.Hooks.OnPublish != nil {
		l.cfg.Hooks.OnPublish(PublishInfo{Projector: l.def.name, Target: l.def.target, Generation: l.generation, CSN: l.written})
	}
	l.state.update(func(s *Status) { s.Published = true })
	return nil
}

// save records progress, unless it is recorded already.
func (l *loop) save(ctx context.Context, p Progress) error {
	if p == l.saved {
		return nil
	}
	err := l.retry(ctx, "save progress", mayPass, func() error { return l.sink.SaveProgress(ctx, l.def.name, p) })
	if err != nil {
		return fmt.Errorf("save progress: %w", err)
	}
	l.saved = p
	return nil
}
