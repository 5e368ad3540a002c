package transactions

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/database"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// transactionsPerDDL is how many transactions begin between two schema changes.
const transactionsPerDDL = 25

// changeSchemas changes tables while the others work on them.
func (r *run) changeSchemas(ctx context.Context) error {
	w := &worker{run: r, id: -1, rnd: rand.New(rand.NewPCG(r.cfg.Seed, 1<<33))}
	defer w.hangUp()
	for next := uint64(0); ; next += transactionsPerDDL {
		if err := r.progress.Await(ctx, func() bool { return r.enough() || r.ledger.Started() >= next }); err != nil {
			return err
		}
		if r.enough() {
			return nil
		}
		err := w.connect(ctx)
		if err == nil {
			err = w.changeSchema(ctx)
		}
		switch e, _ := errors.AsType[*mysql.MySQLError](err); {
		case err == nil:
			r.ddl.Add(1)
		case database.Lost(err):
			w.hangUp()
		case e != nil && (e.Number == 1205 || e.Number == 1213): // somebody works on the table
		default:
			return fmt.Errorf("change schema: %w", err)
		}
	}
}

func (w *worker) changeSchema(ctx context.Context) error {
	if err := w.exec(ctx, "SET SESSION lock_wait_timeout = 1"); err != nil {
		return err
	}
	table := []string{"shape_a", "shape_b"}[w.rnd.IntN(2)]
	switch w.rnd.IntN(9) {
	case 0, 1, 2:
		extra, err := w.run.db.Strings(ctx, "SELECT column_name FROM information_schema.columns WHERE table_schema = '"+schema+"' AND table_name = '"+table+
			"' AND column_name LIKE 'extra%'")
		if err != nil {
			return err
		}
		if len(extra) > 1 {
			return w.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", table, extra[w.rnd.IntN(len(extra))]))
		}
		return w.exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN extra%d %s", table, w.rnd.Uint32(),
			[]string{"INT NOT NULL DEFAULT 7", "VARCHAR(20) DEFAULT 'new'", "BIGINT"}[w.rnd.IntN(3)]))
	case 3:
		return w.exec(ctx, "RENAME TABLE shape_a TO shape_x, shape_b TO shape_a, shape_x TO shape_b")
	case 4, 5:
		exists, err := w.run.db.Strings(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = '"+schema+"' AND table_name = 'brief'")
		if err != nil {
			return err
		}
		if len(exists) > 0 {
			return w.exec(ctx, "DROP TABLE brief")
		}
		return w.exec(ctx, "CREATE TABLE brief ("+strings.TrimSpace(one)+") ENGINE=InnoDB")
	case 6:
		return w.exec(ctx, "FLUSH BINARY LOGS")
	case 7:
		return w.exec(ctx, "TRUNCATE TABLE "+table)
	default:
		if w.run.db.Kind == servers.MariaDB {
			return w.exec(ctx, fmt.Sprintf("SET GLOBAL log_bin_compress = %d, log_bin_compress_min_len = 10", w.rnd.IntN(2)))
		}
		return w.exec(ctx, "ALTER TABLE part COMMENT = 'looked at'")
	}
}
