package binlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/millrace-go/millrace/cdc"
)

// rendererVersion changes with everything that changes the bytes of a row's images or keys, or its number in the transaction.
const rendererVersion = 3

// Source is a [cdc.Source]: a MySQL or MariaDB server, followed by its binlog, or several with one history (Config.Addrs). It is safe for
// concurrent use and holds nothing open; each call makes its own connection.
type Source struct {
	cfg      Config
	topology *topology // nil for one server
	siblings *topology // the one that the server is of; nil when it is alone
}

var _ cdc.BoundedSource = (*Source)(nil)

// New returns a source. It does not connect; the error lists every wrong field.
func New(cfg Config) (*Source, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Source{cfg: cfg.forServer(), topology: newTopology(cfg)}, nil
}

// ConfigID is a hash of the filter, the columns, the keys, PartialRows, and the renderer's version.
func (s *Source) ConfigID() string {
	h := sha256.New()
	fmt.Fprintf(h, "binlog %d\n", rendererVersion)
	for _, list := range [][]string{s.cfg.Filter.Include, s.cfg.Filter.Exclude} {
		list = slices.Compact(slices.Sorted(slices.Values(list)))
		fmt.Fprintf(h, "%d %q\n", len(list), list)
	}
	s.cfg.Columns.Identify(h)
	s.cfg.Keys.Identify(h)
	if s.cfg.PartialRows {
		fmt.Fprintln(h, "partial rows")
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Filter returns what chooses the tables.
func (s *Source) Filter() cdc.Filter {
	return cdc.Filter{Include: slices.Clone(s.cfg.Filter.Include), Exclude: slices.Clone(s.cfg.Filter.Exclude)}
}

// serverID is the id of a new stream.
func (s *Source) serverID() uint32 {
	if s.cfg.ServerID != 0 {
		return s.cfg.ServerID
	}
	return randomID()
}

func randomID() uint32 { return 1<<31 | rand.Uint32N(1<<31-1) }

// Oldest returns the position before the server's first transaction. Its error wraps [cdc.ErrPositionLost] when binlog files were
// purged.
func (s *Source) Oldest(ctx context.Context) (cdc.Position, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) (cdc.Position, error) { return one.Oldest(ctx) })
	}
	return s.position(ctx, (*conn).oldest)
}

// Executed returns what the server has executed now.
func (s *Source) Executed(ctx context.Context) (cdc.Position, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) (cdc.Position, error) { return one.Executed(ctx) })
	}
	return s.position(ctx, (*conn).executed)
}

func (s *Source) position(ctx context.Context, ask func(*conn, context.Context) (cdc.Position, error)) (cdc.Position, error) {
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return cdc.Position{}, err
	}
	defer c.close()
	return ask(c, ctx)
}

// Open starts a stream of everything after from. A position whose binlog was purged is [cdc.ErrPositionLost]; one that the server has
// not reached, or lost, [cdc.ErrSourceBehind]; an unreachable server [cdc.ErrUnavailable]. The context bounds the opening, not the stream.
func (s *Source) Open(ctx context.Context, from cdc.Position) (cdc.Stream, error) {
	return s.OpenBounded(ctx, from, defaultMaxBytes)
}

// OpenBounded is Open with the relay's bound of memory: slices take a sixteenth of maxBytes and what waits an eighth, where
// MaxSliceBytes and SpillBytes do not say otherwise.
func (s *Source) OpenBounded(ctx context.Context, from cdc.Position, maxBytes int) (cdc.Stream, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) (cdc.Stream, error) { return one.OpenBounded(ctx, from, maxBytes) })
	}
	if maxBytes <= 0 {
		return nil, fmt.Errorf("open binlog stream: bound of %d bytes, want a positive number", maxBytes)
	}
	st, err := s.open(ctx, from, maxBytes)
	if errors.Is(err, cdc.ErrPositionLost) {
		st, err = s.openWithoutForgotten(ctx, from, maxBytes, err)
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}
