package binlog

import (
	"context"
	"strconv"

	"github.com/millrace-go/millrace/cdc"
)

// Tables lists the captured tables with the server's estimates of their rows.
func (s *Source) Tables(ctx context.Context) ([]cdc.TableSize, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) ([]cdc.TableSize, error) { return one.Tables(ctx) })
	}
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return nil, err
	}
	defer c.close()
	rows, err := c.rows(ctx, "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, TABLE_ROWS AS n FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')")
	if err != nil {
		return nil, err
	}
	var tables []cdc.TableSize
	for _, row := range rows {
		if s.cfg.Filter.Match(row["s"], row["t"]) {
			n, _ := strconv.ParseUint(row["n"], 10, 64)
			tables = append(tables, cdc.TableSize{Schema: row["s"], Name: row["t"], Rows: n})
		}
	}
	return tables, nil
}

// Split implements [cdc.ChunkReader].
func (r *chunkReader) Split(ctx context.Context, schema, table string, n int) ([]cdc.ChunkRange, error) {
	return []cdc.ChunkRange{{}}, nil
}
