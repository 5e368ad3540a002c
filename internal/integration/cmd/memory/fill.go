package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/big"

	_ "github.com/go-sql-driver/mysql" // the driver of database

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// database is one connection to a server that makes the transactions: nothing large goes through it.
type database struct {
	*sql.Conn
	kind servers.Kind
	rows int // of a transaction of small rows
}

// digest is a hash of a set of images, whatever their order: the sums of two parts of 60 bits of each one's SHA-256.
type digest [2]uint64

// add takes note of an image.
func (d *digest) add(sha [32]byte) {
	var high, low uint64
	for i := range 8 {
		high, low = high<<8|uint64(sha[i]), low<<8|uint64(sha[8+i])
	}
	d[0] += high >> 4
	d[1] += high&15<<56 | low>>8
}

// content is what a log must hold.
type content struct {
	transactions int
	records      int
	before       digest
	after        digest
}

func (d *database) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := d.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.100s: %w", s, err)
		}
	}
	return nil
}

// prepare makes the numbers that the other statements count with, and lets them be long.
func (d *database) prepare(ctx context.Context) error {
	return d.exec(ctx, "CREATE DATABASE helper", "CREATE DATABASE memory", "USE helper", "CREATE TABLE helper.num (n INT PRIMARY KEY)",
		"INSERT INTO helper.num WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 999) SELECT n FROM c",
		"INSERT INTO helper.num SELECT 1000 + n FROM helper.num WHERE n < 24",
		"SET SESSION group_concat_max_len = 1 << 30")
}

// reset begins a new history: what follows is all that a relay finds.
func (d *database) reset(ctx context.Context) error {
	if d.kind == servers.MySQL {
		return d.exec(ctx, "RESET BINARY LOGS AND GTIDS")
	}
	return d.exec(ctx, "RESET MASTER")
}

// compress lets the server compress what it writes into its binlog from now on, or not.
func (d *database) compress(ctx context.Context, on bool) error {
	if d.kind == servers.MySQL {
		return d.exec(ctx, fmt.Sprintf("SET SESSION binlog_transaction_compression = %t", on))
	}
	return d.exec(ctx, fmt.Sprintf("SET GLOBAL log_bin_compress = %t", on))
}

// small makes one transaction of small rows.
func (d *database) small(ctx context.Context) (content, error) {
	numbers := fmt.Sprintf("seq_0_to_%d", d.rows-1)
	with := ""
	if d.kind == servers.MySQL {
		numbers = "c"
		with = fmt.Sprintf("WITH RECURSIVE c(seq) AS (SELECT 0 UNION ALL SELECT seq+1 FROM c WHERE seq < %d) ", d.rows-1)
		if err := d.exec(ctx, fmt.Sprintf("SET SESSION cte_max_recursion_depth = %d", d.rows)); err != nil {
			return content{}, err
		}
	}
	err := d.exec(ctx, "DROP TABLE IF EXISTS memory.item",
		"CREATE TABLE memory.item (id BIGINT PRIMARY KEY, name VARCHAR(60) NOT NULL, price DECIMAL(10,2) NOT NULL, n INT NOT NULL) CHARACTER SET utf8mb4")
	if err != nil {
		return content{}, err
	}
	if err := d.reset(ctx); err != nil {
		return content{}, err
	}
	err = d.exec(ctx, "INSERT INTO memory.item "+with+"SELECT seq, CONCAT('item ', LEFT(SHA2(seq, 256), 32)), seq / 100, seq % 1000 FROM "+numbers)
	if err != nil {
		return content{}, err
	}
	const image = `SHA2(CONCAT('{"id":', id, ',"name":"', name, '","price":"', price, '","n":', n, '}'), 256)`
	part := func(at int) string {
		return fmt.Sprintf("SUM(CAST(CONV(SUBSTRING(h, %d, 15), 16, 10) AS UNSIGNED))", at)
	}
	var n int
	var parts [2]string
	err = d.QueryRowContext(ctx, "SELECT COUNT(*), "+part(1)+", "+part(16)+" FROM (SELECT "+image+" AS h FROM memory.item) AS images").
		Scan(&n, &parts[0], &parts[1])
	if err != nil {
		return content{}, err
	}
	c := content{transactions: 1, records: n}
	for i, text := range parts {
		sum, ok := new(big.Int).SetString(text, 10)
		if !ok {
			return c, fmt.Errorf("sum of hashes: %q", text)
		}
		c.after[i] = sum.And(sum, new(big.Int).SetUint64(1<<64-1)).Uint64()
	}
	return c, nil
}

// huge makes a row of so many bytes of random content and updates it, in one transaction or in as many as updates; inserted adds a copy
// of the row to the one transaction.
func (d *database) huge(ctx context.Context, column string, mib, updates int, together, inserted bool) (content, error) {
	piece, pieces := "RANDOM_BYTES(1024)", mib<<10
	switch column {
	case "LONGTEXT":
		piece, pieces = "TO_BASE64(RANDOM_BYTES(48))", mib<<14
	case "LONGBLOB COMPRESSED": // random bytes would stay as they are
		piece = "HEX(RANDOM_BYTES(512))"
	}
	c := content{transactions: updates, records: updates}
	if together {
		c.transactions = 1
	}
	err := d.exec(ctx, "DROP TABLE IF EXISTS memory.doc", "CREATE TABLE memory.doc (id INT PRIMARY KEY, body "+column+" NOT NULL) CHARACTER SET utf8mb4",
		fmt.Sprintf("INSERT INTO memory.doc SELECT 1, GROUP_CONCAT(%s SEPARATOR '') FROM helper.num a, helper.num b WHERE a.n * 1024 + b.n < %d", piece, pieces))
	if err != nil {
		return c, err
	}
	before, err := d.bodyHash(ctx, mib)
	if err != nil {
		return c, err
	}
	if err := d.reset(ctx); err != nil {
		return c, err
	}
	if together {
		if err := d.exec(ctx, "BEGIN"); err != nil {
			return c, err
		}
	}
	for range updates {
		if err := d.exec(ctx, "UPDATE memory.doc SET body = CONCAT(SUBSTRING(body, 1000001), SUBSTRING(body, 1, 1000000))"); err != nil {
			return c, err
		}
		after, err := d.bodyHash(ctx, mib)
		if err != nil {
			return c, err
		}
		c.before.add(before)
		c.after.add(after)
		before = after
	}
	if inserted {
		if err := d.exec(ctx, "INSERT INTO memory.doc SELECT 2, body FROM memory.doc"); err != nil {
			return c, err
		}
		c.after.add(before)
		c.records++
	}
	if together {
		return c, d.exec(ctx, "COMMIT")
	}
	return c, nil
}

func (d *database) bodyHash(ctx context.Context, mib int) (sha [32]byte, err error) {
	var text string
	var size int
	if err := d.QueryRowContext(ctx, "SELECT SHA2(body, 256), LENGTH(body) FROM memory.doc").Scan(&text, &size); err != nil {
		return sha, err
	}
	if size != mib<<20 {
		return sha, fmt.Errorf("the row has %d bytes, want %d MiB", size, mib)
	}
	_, err = hex.Decode(sha[:], []byte(text))
	return sha, err
}

// payload returns the size of the largest compressed transaction in the first binlog file.
func (d *database) payload(ctx context.Context) (largest uint64, err error) {
	rows, err := d.QueryContext(ctx, "SHOW BINLOG EVENTS")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var file, kind, info string
		var from, end, server uint64
		if err := rows.Scan(&file, &from, &kind, &server, &end, &info); err != nil {
			return 0, err
		}
		if kind == "Transaction_payload" {
			largest = max(largest, end-from)
		}
	}
	return largest, rows.Err()
}
