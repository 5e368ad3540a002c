package binlog

import (
	"context"
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/cdc"
)

// Check verifies the server's settings and the account's grants, and reports everything that is wrong in one [*cdc.CheckError].
// What keeps it from asking, such as a wrong password, is an error of its own. Of several servers one must be right, and all that answer
// must be of one topology; what is wrong with the others is logged.
func (s *Source) Check(ctx context.Context) error {
	if s.topology != nil {
		return s.topology.check(ctx)
	}
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return err
	}
	defer c.close()
	k := &checker{conn: c}
	if err := k.check(ctx); err != nil {
		return err
	}
	if len(k.problems) > 0 {
		return &cdc.CheckError{Server: s.cfg.Addr, Problems: k.problems}
	}
	return nil
}

// logAddr is the key of the server's address in log lines.
const logAddr = "addr"

// checker collects what is wrong.
type checker struct {
	*conn
	variables map[string]string
	grants    grants
	problems  []cdc.Problem
}

func (k *checker) problem(fix, what string, args ...any) {
	k.problems = append(k.problems, cdc.Problem{What: fmt.Sprintf(what, args...), Fix: fix})
}

func (k *checker) check(ctx context.Context) error {
	rows, err := k.rows(ctx, "SHOW GLOBAL VARIABLES")
	if err != nil {
		return err
	}
	k.variables = make(map[string]string, len(rows))
	for _, row := range rows {
		k.variables[row["variable_name"]] = row["value"]
	}
	if k.flavor == MariaDB {
		k.newEnough("MariaDB", 10, 6)
	} else {
		k.newEnough("MySQL", 8, 0)
	}
	k.settings()
	k.durability()
	if err := k.checkGrants(ctx); err != nil {
		return err
	}
	if err := k.checkForeignKeys(ctx); err != nil {
		return err
	}
	if err := k.checkChoice(ctx); err != nil {
		return err
	}
	if err := k.checkTypes(ctx); err != nil {
		return err
	}
	return k.checkStatus(ctx)
}

func (k *checker) newEnough(name string, major, minor int) {
	if !k.atLeast(major, minor) {
		k.problem(fmt.Sprintf("upgrade to %s %d.%d or later", name, major, minor), "the server is %s %s", name, k.version)
	}
}

// want demands a value of a variable. A variable that the server does not have is not demanded: newer servers drop those that have
// only one value left.
func (k *checker) want(variable, value, fix string) {
	if have, ok := k.variables[variable]; ok && !strings.EqualFold(have, value) {
		shown := have
		if shown == "" {
			shown = "empty"
		}
		k.problem(fix, "%s is %s, want %s", variable, shown, value)
	}
}

// set is the statement that sets a variable for good, where the server can do that.
func (k *checker) set(variable, value string) string {
	if k.flavor == MySQL {
		return fmt.Sprintf("SET PERSIST %s = %s", variable, value)
	}
	return fmt.Sprintf("SET GLOBAL %s = %s, and the same in the server's configuration file", variable, value)
}

func (k *checker) settings() {
	k.want("log_bin", "ON", "start the server with log_bin (in its configuration file; needs a restart)")
	k.want("binlog_format", "ROW", k.set("binlog_format", "'ROW'")+"; sessions that are open keep their own setting")
	if !k.cfg.PartialRows {
		k.want("binlog_row_image", "FULL", k.set("binlog_row_image", "'FULL'")+"; sessions that are open keep their own setting; or "+
			"accept rows without some columns: Config.PartialRows")
	}
	if have, ok := k.variables["binlog_row_metadata"]; !ok || !strings.EqualFold(have, "FULL") {
		k.problem(k.set("binlog_row_metadata", "'FULL'"), "binlog_row_metadata is %s, want FULL", have)
	}
	if k.variables["server_id"] == "0" {
		k.problem(k.set("server_id", "1 (or another number that no other server of the topology has)"), "server_id is 0, with which the server "+
			"refuses replicas")
	}
	if k.flavor == MySQL {
		k.want("enforce_gtid_consistency", "ON", "SET PERSIST enforce_gtid_consistency = WARN; and when the error log stays quiet: "+
			"SET PERSIST enforce_gtid_consistency = ON")
		k.want("gtid_mode", "ON", "SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; wait until "+
			"ongoing_anonymous_transaction_count is 0; SET PERSIST gtid_mode = ON (leave out the steps the server has behind it)")
		if have := k.variables["binlog_row_value_options"]; k.cfg.PartialRows && have != "" && strings.EqualFold(k.variables["binlog_row_image"], "MINIMAL") {
			k.problem(k.set("binlog_row_value_options", "''")+"; or "+k.set("binlog_row_image", "'NOBLOB'")+" (or 'FULL'); sessions that "+
				"are open keep their own setting", "binlog_row_value_options is %s while binlog_row_image is MINIMAL: updates then have only "+
				"what changed in a JSON document, and not the document", have)
		}
		return
	}
	if have := k.variables["binlog_row_image"]; k.cfg.PartialRows && !strings.EqualFold(have, "FULL") {
		k.cfg.Logger.Warn("MariaDB leaves changed values out of its binlog where an insert meets a row that is there", logAddr, k.cfg.Addr,
			"variable", "binlog_row_image", "value", have, "want", "FULL")
	}
	k.want("gtid_strict_mode", "ON", k.set("gtid_strict_mode", "ON")+"; without it sequence numbers may go back, and a position means nothing")
	k.want("binlog_optimize_thread_scheduling", "ON", fixScheduling)
	k.want("mysql56_temporal_format", "ON", k.set("mysql56_temporal_format", "ON"))
	if k.variables["gtid_slave_pos"] != "" && k.variables["log_slave_updates"] == "OFF" {
		k.problem("start the server with log_slave_updates (needs a restart)", "log_slave_updates is OFF on a replica: what it replicates is not in its binlog")
	}
}

// durability warns of settings with which a server that crashes can forget transactions that were captured.
func (k *checker) durability() {
	for _, variable := range []string{"sync_binlog", "innodb_flush_log_at_trx_commit"} {
		if have := k.variables[variable]; have != "1" {
			k.cfg.Logger.Warn("the server may forget captured transactions when its machine crashes", logAddr, k.cfg.Addr, "variable", variable, "value", have, "want", "1")
		}
	}
}

// checkStatus finds databases that the server leaves out of its binlog.
func (k *checker) checkStatus(ctx context.Context) error {
	if !k.grants.on("*.*", k.statusPrivilege(), "SUPER") {
		return nil // that is a problem already
	}
	row, err := k.row(ctx, k.statusQuery())
	if err != nil {
		return err
	}
	for _, option := range []string{"binlog_do_db", "binlog_ignore_db"} {
		if have := row[option]; have != "" {
			k.problem("start the server without "+option+" (needs a restart), and choose tables by Config.Filter",
				"%s is %s: changes of other databases are not in the binlog", option, have)
		}
	}
	return nil
}
