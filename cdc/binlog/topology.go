package binlog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/gtid"
)

// topology is a source's servers when there are several: each is a Source with one address.
type topology struct {
	servers []*Source
	good    atomic.Int64 // the one that answered last
}

var _ cdc.Topology = (*Source)(nil)

func newTopology(cfg Config) *topology {
	if len(cfg.Addrs) == 0 {
		return nil
	}
	t := &topology{}
	for _, addr := range cfg.addresses() {
		one := cfg
		one.Addr, one.Addrs = addr, nil
		t.servers = append(t.servers, &Source{cfg: one.forServer(), siblings: t})
	}
	return t
}

// Servers returns one source for each address, in the order of the configuration: Config.Addr, then Config.Addrs.
func (s *Source) Servers() []cdc.Server {
	if s.topology == nil {
		return []cdc.Server{{Name: s.cfg.Addr, Source: s}}
	}
	var list []cdc.Server
	for _, one := range s.topology.servers {
		list = append(list, cdc.Server{Name: one.cfg.Addr, Source: one})
	}
	return list
}

// first asks the servers in turn, beginning with the last good one, until one answers without an error.
func first[T any](ctx context.Context, t *topology, ask func(*Source) (T, error)) (T, error) {
	failed := &cdc.ServersError{}
	start := int(t.good.Load())
	for i := range t.servers {
		at := (start + i) % len(t.servers)
		answer, err := ask(t.servers[at])
		if err == nil {
			t.good.Store(int64(at))
			return answer, nil
		}
		if ctx.Err() != nil {
			return answer, err
		}
		failed.Reasons = append(failed.Reasons, cdc.ServerReason{Server: t.servers[at].cfg.Addr, Err: err})
	}
	var none T
	return none, failed
}

// check checks every server. It is enough that one will do, since the others may be down, or be wrong and never be needed: they are logged. But
// all that answer must be of one topology.
func (t *topology) check(ctx context.Context) error {
	failed := &cdc.ServersError{}
	var answered []cdc.Position
	var names []string
	good := 0
	for _, s := range t.servers {
		executed, err := s.Executed(ctx)
		if err == nil {
			answered, names = append(answered, executed), append(names, s.cfg.Addr)
			err = s.Check(ctx)
		}
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			failed.Reasons = append(failed.Reasons, cdc.ServerReason{Server: s.cfg.Addr, Err: err})
			continue
		}
		good++
	}
	for i := 1; i < len(answered); i++ {
		if err := sameTopology(names[0], answered[0], names[i], answered[i]); err != nil {
			return err
		}
	}
	if good == 0 {
		return failed
	}
	for _, r := range failed.Reasons {
		s := "a server of the source could not be followed now"
		if !errors.Is(r.Err, cdc.ErrUnavailable) {
			s = "a server of the source could not be followed, also after a failover"
		}
		t.servers[0].cfg.Logger.Warn(s, logAddr, r.Server, "err", r.Err)
	}
	return nil
}

// sameTopology refuses two servers that cannot have one history: of two flavors, or without a server that has written to both.
func sameTopology(nameA string, a cdc.Position, nameB string, b cdc.Position) error {
	if a.Flavor != b.Flavor {
		return fmt.Errorf("binlog config: %s is a %s server and %s a %s server: the addresses of a source must be of one topology", nameA, a.Flavor, nameB, b.Flavor)
	}
	have, err := gtid.Parse(a.Flavor, a.GTIDs)
	if err != nil {
		return err
	}
	other, err := gtid.Parse(b.Flavor, b.GTIDs)
	if err != nil {
		return err
	}
	if have.Foreign(other) {
		return fmt.Errorf("binlog config: %w: %s has executed %q and %s %q, and no server has written to both: the addresses of a source must "+
			"be of one topology", cdc.ErrForeignServer, nameA, a.GTIDs, nameB, b.GTIDs)
	}
	return nil
}
