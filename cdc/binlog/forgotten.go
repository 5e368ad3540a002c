package binlog

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// openWithoutForgotten tries once more where the position is lost, which may be for an XA PREPARE that will never be needed: servers were
// seen to forget prepared transactions without a trace in the binlog, and such a prepare would hold its binlog file for good. What the
// server has not as prepared any more is taken out of the position. It may have been committed meanwhile: then its XA COMMIT comes in the
// stream, and is refused there; so another server of the source that still has all of the position is the one to follow.
func (s *Source) openWithoutForgotten(ctx context.Context, from cdc.Position, maxBytes int, lost error) (*stream, error) {
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return nil, lost
	}
	defer c.close()
	rest, ok := c.withoutForgotten(ctx, from)
	if !ok {
		return nil, lost
	}
	if other := s.elsewhere(ctx, from); other != "" {
		return nil, fmt.Errorf("%w; %s still has it", lost, other)
	}
	st, err := s.open(ctx, rest, maxBytes)
	if err != nil {
		return nil, lost
	}
	s.cfg.Logger.Warn("the server has forgotten prepared XA transactions, and their binlog is purged: going on without them", logAddr, s.cfg.Addr,
		"position", from.String(), "still prepared", len(rest.Prepared))
	return st, nil
}

// elsewhere returns the address of another server of the source that still has all of a position; empty when none says so.
func (s *Source) elsewhere(ctx context.Context, from cdc.Position) string {
	if s.siblings == nil {
		return ""
	}
	for _, other := range s.siblings.servers {
		if other != s && other.keeps(ctx, from) {
			return other.cfg.Addr
		}
	}
	return ""
}

// keeps tells whether the server answers, and has the binlog behind a position and of all that is prepared there.
func (s *Source) keeps(ctx context.Context, from cdc.Position) bool {
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return false
	}
	defer c.close()
	_, err = c.horizon(ctx, from)
	return err == nil
}

// withoutForgotten takes out of a position what the server has not as prepared any more. It is false where there is nothing of that, or the
// server does not tell: MySQL does to accounts with XA_RECOVER_ADMIN only.
func (c *conn) withoutForgotten(ctx context.Context, from cdc.Position) (cdc.Position, bool) {
	if len(from.Prepared) == 0 {
		return from, false
	}
	kept, err := c.stillPrepared(ctx, from.Prepared)
	if err != nil || len(kept) == len(from.Prepared) {
		return from, false
	}
	from.Prepared = kept
	return from, true
}

// stillPrepared returns those of all that the server has as prepared.
func (c *conn) stillPrepared(ctx context.Context, all []eventstore.Prepare) ([]eventstore.Prepare, error) {
	statement := "XA RECOVER CONVERT XID"
	if c.flavor == MariaDB {
		statement = "XA RECOVER FORMAT='SQL'"
	}
	rows, err := c.rows(ctx, statement)
	if err != nil {
		return nil, err
	}
	has := make(map[string]bool, len(rows))
	for _, row := range rows {
		id, err := recovered(row, c.flavor)
		if err != nil {
			return nil, err
		}
		has[id.String()] = true
	}
	var kept []eventstore.Prepare
	for _, p := range all {
		if has[p.XID] {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// recovered reads a row of XA RECOVER: MariaDB gives the id as in statements, MySQL both parts in one, as 0x and hexadecimal digits.
func recovered(row map[string]string, flavor string) (xid, error) {
	if flavor == MariaDB {
		s, err := parseXA("XA COMMIT "+row["data"], 0)
		return s.id, err
	}
	format, err1 := strconv.ParseUint(row["formatid"], 10, 64)
	global, err2 := strconv.ParseUint(row["gtrid_length"], 10, 64)
	data, err3 := hex.DecodeString(strings.TrimPrefix(row["data"], "0x"))
	if err1 != nil || err2 != nil || err3 != nil || global > uint64(len(data)) {
		return xid{}, errXAStatement
	}
	return xid{format: format, global: string(data[:global]), branch: string(data[global:])}, nil
}
