package binlog

import (
	"context"
	"fmt"

	"github.com/millrace-go/millrace/cdc"
)

var _ cdc.RecentSource = (*Source)(nil)

// Recent implements [cdc.RecentSource]: where XA transactions were prepared since the server's start it is the beginning of the last binlog
// file but one, else what was executed.
func (s *Source) Recent(ctx context.Context) (cdc.Position, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) (cdc.Position, error) { return one.Recent(ctx) })
	}
	return s.position(ctx, (*conn).recent)
}

func (c *conn) recent(ctx context.Context) (cdc.Position, error) {
	prepared, err := c.row(ctx, "SHOW GLOBAL STATUS LIKE 'Com_xa_prepare'")
	if err != nil {
		return cdc.Position{}, err
	}
	if prepared["value"] == "0" {
		return c.executed(ctx)
	}
	p := cdc.Position{Flavor: c.flavor}
	if p.Server, err = c.identity(ctx); err != nil {
		return cdc.Position{}, err
	}
	files, err := c.rows(ctx, "SHOW BINARY LOGS")
	if err != nil || len(files) == 0 {
		return c.executed(ctx)
	}
	p.File, p.Offset = files[max(len(files)-2, 0)]["log_name"], 4 // behind the file's magic number
	before, err := c.beginsBehind(ctx, p.File)
	if err != nil {
		return cdc.Position{}, fmt.Errorf("recent position of %s: %w", c.cfg.Addr, err)
	}
	p.GTIDs = before.String()
	return p, nil
}
