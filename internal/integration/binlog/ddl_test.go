package binlog

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestSchemaChanges: rows change between statements of every kind that change their table, and the binlog is read only afterwards, or by
// a relay that was down on the way: each record is what the server showed then, with the columns it showed, and the rows of the log at
// the end are the tables'. Tables of an online schema change are left out by the filter, or captured like others.
func TestSchemaChanges(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		for name, exclude := range map[string][]string{"everything": nil, "without ghosts": {"ddl._*"}} {
			t.Run(name, func(t *testing.T) {
				db := open(t, ownServer(t, kind), "ddl")
				filter := cdc.Filter{Include: []string{"ddl.*"}, Exclude: exclude}
				source := db.source(t, func(c *binlog.Config) { c.Filter = filter })
				log := eventstore.NewMemoryLog()
				from := db.executed(t)
				begin(t, log, from, source)
				r := newRecorder(t, db, uint64(len(exclude)))
				r.definitions(kind, len(exclude) > 0)
				relayed(t, source, log, db.executed(t))
				r.endings(kind)
				relayed(t, source, log, db.executed(t))
				r.ghost(len(exclude) > 0)
				r.triggers(len(exclude) > 0)
				r.touch()
				relayed(t, source, log, db.executed(t))
				p := replayed(t, log, r, filter)
				t.Logf("%d steps, %d row records", len(r.steps), p.checked)
				if p.checked < 200 {
					t.Errorf("only %d row records", p.checked)
				}
			})
		}
	})
}

// begin starts a log at a position, so that nothing before it is captured.
func begin(t *testing.T, log eventstore.Log, from cdc.Position, source cdc.Source) {
	t.Helper()
	w, err := log.Begin(t.Context())
	if err == nil {
		err = w.Watermark(t.Context(), eventstore.Watermark{Position: from, Config: source.ConfigID()})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// definitions changes a table's columns and keys in every way.
func (r *recorder) definitions(kind servers.Kind, _ bool) {
	r.exec("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), qty INT, state ENUM('new','old'), at DATETIME(3))", "create ddl.t")
	r.changes("t", 15)
	for _, what := range []string{
		"ADD COLUMN front INT NOT NULL DEFAULT 7 FIRST",
		"ADD COLUMN mid VARCHAR(10) CHARACTER SET latin1 AFTER name",
		"DROP COLUMN qty",
		"MODIFY at DATETIME(6) FIRST",
		"RENAME COLUMN name TO label",
		"MODIFY label TEXT AFTER mid",
		"MODIFY front BIGINT UNSIGNED NOT NULL DEFAULT 3",
		"ADD COLUMN price DECIMAL(10,1), ALGORITHM=COPY",
		"CONVERT TO CHARACTER SET latin1",
		"MODIFY label MEDIUMTEXT CHARACTER SET utf16",
		"MODIFY state ENUM('newer','old','new') CHARACTER SET utf8mb4",
		"MODIFY state ENUM('new','newer','old','oldest') CHARACTER SET utf8mb4 FIRST, ADD COLUMN `we``i.rd, )` INT COMMENT ''",
		"ADD COLUMN part INT NOT NULL DEFAULT 1, DROP PRIMARY KEY, ADD PRIMARY KEY (part, id)",
		"DROP PRIMARY KEY, ADD PRIMARY KEY (id, part)",
	} {
		if kind == servers.MariaDB {
			r.run(fmt.Sprintf("SET SESSION binlog_alter_two_phase = %d", r.rnd.IntN(2)))
		}
		r.exec("ALTER TABLE t "+what, "alter ddl.t")
		r.changes("t", 12)
	}
	r.exec("CREATE INDEX i ON ddl.t (state)", "alter ddl.t")
	r.changes("t", 3)
	r.exec("DROP INDEX i ON t", "alter ddl.t")
	r.changes("t", 3)
	if kind == servers.MariaDB {
		r.run("SET SESSION binlog_alter_two_phase = 0")
		r.exec("SET STATEMENT max_statement_time = 100 FOR ALTER TABLE t ADD COLUMN stated INT", "alter ddl.t")
		r.changes("t", 3)
	}
	// What a session's settings make of a text.
	r.run("SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
	r.exec(`CREATE TABLE "a.b\" (id INT PRIMARY KEY, v VARCHAR(10) DEFAULT '\')`, `create ddl.a.b\`)
	r.exec(`INSERT INTO "a.b\" VALUES (1, 'x')`)
	r.exec(`ALTER TABLE "a.b\" MODIFY v VARCHAR(10) DEFAULT '\', RENAME "a"`, `rename ddl.a.b\ > ddl.a`)
	r.exec(`INSERT INTO a VALUES (2, 'y')`)
	r.run("SET SESSION sql_mode = ''")
	r.run("SET NAMES latin1")
	r.exec("ALTER TABLE a RENAME \xfc", "rename ddl.a > ddl.ü")
	r.steps[len(r.steps)-1].statement = "ALTER TABLE a RENAME ü"
	r.run("SET NAMES utf8mb4")
	r.exec("INSERT INTO ü VALUES (3, 'z')")
}

// endings empties, drops, renames and makes tables again.
func (r *recorder) endings(kind servers.Kind) {
	r.changes("t", 10)
	r.exec("TRUNCATE TABLE t", "truncate ddl.t")
	r.changes("t", 10)
	r.exec("RENAME TABLE t TO other", "rename ddl.t > ddl.other")
	r.changes("other", 10)
	r.exec("CREATE TABLE t (v VARCHAR(10), id INT PRIMARY KEY)", "create ddl.t")
	r.changes("t", 20)
	r.exec("RENAME TABLE t TO swap, other TO t, swap TO other", "rename ddl.t > ddl.swap", "rename ddl.other > ddl.t", "rename ddl.swap > ddl.other")
	r.changes("t", 10)
	r.changes("other", 10)
	r.exec("CREATE TABLE IF NOT EXISTS other (x INT)", func() []string {
		if kind == servers.MySQL {
			return []string{"create ddl.other if not exists"} // MariaDB writes nothing
		}
		return nil
	}()...)
	r.changes("other", 5)
	r.exec("DROP TABLE IF EXISTS other, nothing", "drop ddl.other", "drop ddl.nothing") // MySQL names those first that are there
	r.exec("CREATE TABLE other (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET latin1, b INT)", "create ddl.other")
	r.changes("other", 20)
	r.exec("CREATE TABLE likewise LIKE other", "create ddl.likewise")
	r.exec("INSERT INTO likewise SELECT * FROM other")
	r.exec("CREATE TABLE copied (PRIMARY KEY (id)) SELECT * FROM other", "create ddl.copied")
	r.changes("copied", 10)
	if kind == servers.MariaDB {
		r.exec("CREATE OR REPLACE TABLE copied (id INT PRIMARY KEY, z DECIMAL(9,1))", "drop ddl.copied", "create ddl.copied")
		r.changes("copied", 10)
		r.exec("CREATE OR REPLACE TABLE copied (PRIMARY KEY (id)) SELECT * FROM likewise", "drop ddl.copied", "create ddl.copied")
		r.changes("copied", 10)
	}
	r.exec("DROP TABLE likewise", "drop ddl.likewise")
}

// ghosts leaves out what a filter without tables like _t does not take.
func ghosts(excluded bool, all []string, without ...string) []string {
	if excluded {
		return without
	}
	return all
}

// ghost changes a table as gh-ost does: it copies the rows to a table of another shape in chunks, applies to it what happens meanwhile,
// and swaps the two.
func (r *recorder) ghost(excluded bool) {
	r.exec("DROP TABLE t", "drop ddl.t")
	r.exec("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10), w INT, u INT)", "create ddl.t")
	r.changes("t", 40)
	r.exec("CREATE TABLE _t_gho LIKE t", ghosts(excluded, []string{"create ddl._t_gho"})...)
	r.exec("ALTER TABLE _t_gho ADD COLUMN g INT DEFAULT 5 FIRST, DROP COLUMN u, MODIFY v VARCHAR(20)", ghosts(excluded, []string{"alter ddl._t_gho"})...)
	columns := r.shared("t", "_t_gho")
	for low := 0; low < 80; low += 16 {
		r.exec(fmt.Sprintf("INSERT IGNORE INTO _t_gho (%[1]s) SELECT %[1]s FROM t WHERE id BETWEEN %d AND %d LOCK IN SHARE MODE", columns, low, low+15))
		for range 8 {
			for _, id := range r.change("t") {
				r.exec(fmt.Sprintf("DELETE FROM _t_gho WHERE id = %d", id))
				r.exec(fmt.Sprintf("REPLACE INTO _t_gho (%[1]s) SELECT %[1]s FROM t WHERE id = %d", columns, id))
			}
		}
	}
	r.exec("RENAME TABLE t TO _t_del, _t_gho TO t", "rename ddl.t > ddl._t_del", "rename ddl._t_gho > ddl.t")
	r.changes("t", 20)
	r.exec("DROP TABLE _t_del", ghosts(excluded, []string{"drop ddl._t_del"})...)
}

// triggers changes a table as pt-online-schema-change does: triggers apply to the copy what happens meanwhile.
func (r *recorder) triggers(excluded bool) {
	r.exec("CREATE TABLE _t_new LIKE t", ghosts(excluded, []string{"create ddl._t_new"})...)
	r.exec("ALTER TABLE _t_new ADD COLUMN p VARCHAR(5) DEFAULT 'p' AFTER id, DROP COLUMN g", ghosts(excluded, []string{"alter ddl._t_new"})...)
	columns := "id, v, w"
	r.exec("CREATE TRIGGER pt_del AFTER DELETE ON t FOR EACH ROW DELETE IGNORE FROM _t_new WHERE id <=> OLD.id")
	r.exec("CREATE TRIGGER pt_upd AFTER UPDATE ON t FOR EACH ROW BEGIN DELETE IGNORE FROM _t_new WHERE NOT (OLD.id <=> NEW.id) AND id <=> OLD.id; " +
		"REPLACE INTO _t_new (id, v, w) VALUES (NEW.id, NEW.v, NEW.w); END")
	r.exec("CREATE TRIGGER pt_ins AFTER INSERT ON t FOR EACH ROW REPLACE INTO _t_new (id, v, w) VALUES (NEW.id, NEW.v, NEW.w)")
	for low := 0; low < 80; low += 16 {
		r.exec(fmt.Sprintf("INSERT LOW_PRIORITY IGNORE INTO _t_new (%[1]s) SELECT %[1]s FROM t WHERE id BETWEEN %d AND %d LOCK IN SHARE MODE", columns, low, low+15))
		r.changes("t", 8)
	}
	r.exec("RENAME TABLE ddl.t TO ddl._t_old, ddl._t_new TO ddl.t", "rename ddl.t > ddl._t_old", "rename ddl._t_new > ddl.t")
	r.changes("t", 10)
	r.exec("DROP TABLE IF EXISTS _t_old", ghosts(excluded, []string{"drop ddl._t_old"})...)
	for _, name := range []string{"pt_del", "pt_upd", "pt_ins"} {
		r.exec("DROP TRIGGER IF EXISTS " + name)
	}
	r.changes("t", 10)
}
