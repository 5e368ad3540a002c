package binlog

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/gtid"
)

// startSet returns what the server is not to send: the position's set without the XA transactions that are open there, whose events
// are needed again.
func startSet(flavor string, from cdc.Position) (*gtid.Set, error) {
	if from.Flavor != "" && from.Flavor != flavor {
		return nil, fmt.Errorf("open binlog stream: the position is of a %s server, this is %s", from.Flavor, flavor)
	}
	set, err := gtid.Parse(flavor, from.GTIDs)
	for _, p := range from.Prepared {
		if err == nil {
			err = set.Remove(p.GTID, p.Before)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open binlog stream: %w", err)
	}
	return set, nil
}

// checkPurged says cdc.ErrPositionLost when the server has purged something behind the set. MariaDB has no such question: it answers
// when the stream begins.
func (c *conn) checkPurged(ctx context.Context, set *gtid.Set, from cdc.Position) error {
	if c.flavor != MySQL {
		return nil
	}
	text, err := c.value(ctx, fmt.Sprintf("SELECT GTID_SUBTRACT(@@GLOBAL.gtid_purged, '%s')", set))
	if err != nil || text == "" {
		return err
	}
	text = flat(text)
	missing, err := gtid.Parse(MySQL, text)
	if err != nil {
		return fmt.Errorf("open binlog stream: purged set of %s: %w", c.cfg.Addr, err)
	}
	for _, p := range from.Prepared {
		if one, err := gtid.Parse(MySQL, p.GTID); err == nil && missing.Contains(one) {
			text += fmt.Sprintf(" (%s is the XA PREPARE of %s, whose rows are needed when it is committed)", p.GTID, p.XID)
		}
	}
	return lost(fmt.Sprintf("open binlog stream at %s: the server has purged %s", c.cfg.Addr, text), nil)
}

// flat takes the line breaks out of a set as MySQL prints it.
func flat(set string) string { return strings.ReplaceAll(set, "\n", "") }

// collations asks which character set each collation id belongs to.
func (c *conn) collations(ctx context.Context) (map[uint64]string, error) {
	queries := []string{"SELECT ID AS id, CHARACTER_SET_NAME AS name FROM information_schema.COLLATIONS WHERE ID IS NOT NULL"}
	if c.flavor == MariaDB && c.atLeast(10, 10) { // uca1400 collations belong to several character sets, each pair with its id
		queries = append(queries, "SELECT ID AS id, CHARACTER_SET_NAME AS name FROM "+
			"information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL")
	}
	names := map[uint64]string{}
	for _, q := range queries {
		rows, err := c.rows(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if id, err := strconv.ParseUint(row["id"], 10, 64); err == nil && row["name"] != "" {
				names[id] = row["name"]
			}
		}
	}
	return names, nil
}

// identity is the server's uuid (MySQL) or id (MariaDB).
func (c *conn) identity(ctx context.Context) (string, error) {
	if c.flavor == MariaDB {
		return c.value(ctx, "SELECT @@GLOBAL.server_id")
	}
	return c.value(ctx, "SELECT @@GLOBAL.server_uuid")
}

// atLeast compares the server's version.
func (c *conn) atLeast(major, minor int) bool {
	version := strings.TrimPrefix(c.version, "5.5.5-") // MariaDB's disguise for old replicas
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(first)
	b, _ := strconv.Atoi(strings.TrimRight(second, "-abcdefghijklmnopqrstuvwxyz"))
	return a > major || a == major && b >= minor
}

// statusQuery asks for the end of the binlog.
func (c *conn) statusQuery() string {
	if c.flavor == MySQL && c.atLeast(8, 2) {
		return "SHOW BINARY LOG STATUS"
	}
	return "SHOW MASTER STATUS"
}

// executed asks what the server has executed, with the end of its binlog.
func (c *conn) executed(ctx context.Context) (cdc.Position, error) {
	p := cdc.Position{Flavor: c.flavor}
	var err error
	if p.Server, err = c.identity(ctx); err != nil {
		return cdc.Position{}, err
	}
	row, err := c.row(ctx, c.statusQuery())
	if err != nil {
		return cdc.Position{}, err
	}
	p.File = row["file"]
	p.Offset, _ = strconv.ParseUint(row["position"], 10, 64)
	p.GTIDs, err = c.executedSet(ctx)
	return p, err
}

// executedSet asks for the set. On MariaDB it is the binlog state, which says how far each server of a domain has come: a position
// alone could not tell a number that a promoted server gave away anew from the one that was lost. A domain of which the binlog never had
// anything is that of the replica's own position: the server was built from a copy that had it.
func (c *conn) executedSet(ctx context.Context) (string, error) {
	variable := "gtid_executed"
	if c.flavor == MariaDB {
		variable = "gtid_binlog_state"
	}
	text, err := c.value(ctx, "SELECT @@GLOBAL."+variable)
	if err != nil {
		return "", err
	}
	text = flat(text)
	set, err := gtid.Parse(c.flavor, text)
	if err != nil {
		return "", fmt.Errorf("%s of %s: %w", variable, c.cfg.Addr, err)
	}
	if c.flavor == MySQL {
		return set.String(), nil
	}
	replicated, err := c.value(ctx, "SELECT @@GLOBAL.gtid_slave_pos")
	if err != nil {
		return "", err
	}
	for item := range strings.SplitSeq(replicated, ",") {
		if domain, err := gtid.Parse(MariaDB, item); err == nil && !domain.IsEmpty() && set.Disjoint(domain) {
			text = strings.TrimPrefix(text+","+domain.String(), ",")
		}
	}
	return text, nil
}

// checkExecuted says cdc.ErrSourceBehind when the position has transactions that the server has not. MySQL and MariaDB accept a uuid or
// a domain that they do not know without a word.
func (c *conn) checkExecuted(ctx context.Context, from cdc.Position) error {
	text, err := c.executedSet(ctx)
	if err != nil {
		return err
	}
	executed := cdc.Position{Flavor: c.flavor, GTIDs: text}
	if covered, err := executed.Covers(from.GTIDs); err != nil || covered {
		return err
	}
	return behind("open binlog stream at "+c.cfg.Addr, fmt.Errorf("it has executed %q, the position is %q", text, from.GTIDs))
}

// oldest says whether the server's first transaction is still in its binlog.
func (c *conn) oldest(ctx context.Context) (cdc.Position, error) {
	what := fmt.Sprintf("oldest position of %s", c.cfg.Addr)
	if c.flavor == MySQL {
		purged, err := c.value(ctx, "SELECT @@GLOBAL.gtid_purged")
		if err != nil {
			return cdc.Position{}, err
		}
		if purged != "" {
			return cdc.Position{}, lost(fmt.Sprintf("%s: the server has purged %s", what, flat(purged)), nil)
		}
		return cdc.Position{Flavor: MySQL}, nil
	}
	first, err := c.row(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return cdc.Position{}, err
	}
	before, err := c.beginsBehind(ctx, first["log_name"])
	if err != nil {
		return cdc.Position{}, fmt.Errorf("%s: %w", what, err)
	}
	if !before.IsEmpty() {
		return cdc.Position{}, lost(fmt.Sprintf("%s: the server has purged everything up to %s", what, before), nil)
	}
	return cdc.Position{Flavor: MariaDB}, nil
}
