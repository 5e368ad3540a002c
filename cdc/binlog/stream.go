package binlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/cdc"
)

var errClosed = errors.New("stream is closed")

// stream is a cdc.Stream: one goroutine reads the socket, the caller of Next decodes.
type stream struct {
	conn     *conn
	serverID uint32
	inbox    *inbox
	asm      *assembler
	batch    batch
	next     int  // event of the batch
	gave     bool // a whole transaction
	err      error
	decoding sync.Mutex // held by Next, and for good by Close
	close    sync.Once
	done     sync.WaitGroup
	marks    atomic.Bool // heartbeats are wanted, too
}

var _ cdc.MarkedStream = (*stream)(nil)

// Marks implements [cdc.MarkedStream].
func (s *stream) Marks(on bool) {
	if !s.decoding.TryLock() { // closed
		return
	}
	defer s.decoding.Unlock()
	if s.marks.Swap(on) != on {
		s.asm.marks, s.asm.marked = on, on && !s.asm.tx.open
	}
}

// read is the goroutine: from the socket into the inbox until the connection fails or is closed. first is the event that was read
// already.
func (s *stream) read(buf *eventBuffer) {
	buf.huge = s.inbox.drained
	for {
		if buf.spilled != nil {
			if !s.inbox.putSpilled(buf.spilled) {
				buf.spilled.close()
				return
			}
		} else if big := len(buf.data) > inboxBytes/4; big { // not worth a copy
			if !s.inbox.put(buf.give(), true) {
				return
			}
		} else if raw := buf.raw(); (!isHeartbeat(raw) || s.marks.Load()) && !s.inbox.put(raw, false) {
			return
		}
		if err := s.conn.readEvent(buf); err != nil {
			buf.spilled.close()
			if err = streamError(err, s.conn.cfg, s.serverID); buf.failed != nil {
				err = buf.failed
			}
			s.inbox.fail(err)
			return
		}
	}
}

func (s *stream) Next(ctx context.Context) (*cdc.Slice, error) {
	if !s.decoding.TryLock() {
		return nil, errClosed
	}
	defer s.decoding.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	slice, err := s.pull(ctx)
	s.gave = s.gave || slice != nil && slice.Last
	if isCutOff(err) && s.gave {
		err = fmt.Errorf("%w: %w", cdc.ErrUnavailable, err)
	}
	if err != nil && !errors.Is(err, context.Cause(ctx)) { // after a cancelled call the next one may go on
		s.err = err
	}
	return slice, err
}

func (s *stream) pull(ctx context.Context) (*cdc.Slice, error) {
	for {
		if s.asm.tx.unprepared != nil {
			first, err := s.lookBack(ctx)
			if err == nil {
				err = s.asm.endUnprepared(first)
			}
			if err != nil {
				return nil, err
			}
		}
		slice, err := s.asm.pull()
		if slice != nil || err != nil {
			return slice, err
		}
		if s.next == len(s.batch.events) {
			full, err := s.inbox.take(ctx, s.batch)
			if err != nil {
				return nil, err
			}
			s.batch, s.next = full, 0
		}
		raw := s.batch.events[s.next]
		s.batch.events[s.next] = nil
		s.next++
		if spilled := s.batch.spilled; spilled != nil {
			s.batch.spilled = nil
			err = s.asm.pushSpilled(spilled)
		} else {
			err = s.asm.push(raw)
		}
		if err != nil {
			return nil, err
		}
	}
}

// Release implements [cdc.Releaser].
func (s *stream) Release() {
	if !s.decoding.TryLock() { // closed
		return
	}
	defer s.decoding.Unlock()
	s.asm.letGo()
}

// Close ends the stream, waits for its goroutine and for a call of Next, and removes its files.
func (s *stream) Close() error {
	s.close.Do(func() {
		close(s.inbox.closed)
		s.conn.socket.Close()
		s.done.Wait()
		s.decoding.Lock()
		s.asm.close()
		s.inbox.batch.spilled.close()
	})
	s.done.Wait()
	return nil
}

// open connects, begins the dump, and reads the first event, so that what is wrong with the position is said at once.
func (s *Source) open(ctx context.Context, from cdc.Position, maxBytes int) (*stream, error) {
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.socket.Close() })
	defer stop()
	st, err := s.begin(ctx, c, from, maxBytes)
	if err != nil {
		c.socket.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("open binlog stream: %w", context.Cause(ctx))
		}
		return nil, err
	}
	if !stop() { // cancelled in the last moment
		st.Close()
		return nil, fmt.Errorf("open binlog stream: %w", context.Cause(ctx))
	}
	return st, nil
}

func (s *Source) begin(ctx context.Context, c *conn, from cdc.Position, maxBytes int) (*stream, error) {
	maxSlice := cmp.Or(s.cfg.MaxSliceBytes, max(maxBytes/16, 1))
	spilling := spill{dir: s.cfg.SpillDir, limit: cmp.Or(s.cfg.SpillBytes, max(maxBytes/8, 1))}
	set, err := startSet(c.flavor, from)
	if err != nil {
		return nil, err
	}
	if err := c.checkExecuted(ctx, from); err != nil {
		return nil, err
	}
	if err := c.checkPurged(ctx, set, from); err != nil {
		return nil, err
	}
	names, err := c.collations(ctx)
	if err != nil {
		return nil, err
	}
	server, err := c.identity(ctx)
	if err != nil {
		return nil, err
	}
	st := &stream{conn: c, serverID: s.serverID(), inbox: newInbox(), asm: &assembler{
		flavor: c.flavor, filter: s.cfg.Filter, choice: s.cfg.choice(), charsets: newCharsets(names), maxSlice: maxSlice, server: server,
		partialRows: s.cfg.PartialRows, spill: spilling}}
	if err := st.asm.resume(from); err != nil {
		return nil, fmt.Errorf("open binlog stream: %w", err)
	}
	if st.asm.lowerNames, err = c.lowerNames(ctx); err != nil {
		return nil, err
	}
	if err := c.dump(ctx, set.String(), st.serverID); err != nil {
		return nil, err
	}
	buf := &eventBuffer{spill: spilling}
	if err := c.readEvent(buf); err != nil {
		return nil, streamError(err, &s.cfg, st.serverID)
	}
	c.socket.timeout = 3*s.cfg.HeartbeatPeriod + time.Second
	s.cfg.Logger.Info("binlog stream opened", logAddr, s.cfg.Addr, "version", c.version, "server_id", st.serverID, "from", from.String())
	st.done.Go(func() { st.read(buf) })
	return st, nil
}
