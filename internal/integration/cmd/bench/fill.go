package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "github.com/go-sql-driver/mysql" // the driver of fill
)

// rowsPerTransaction is the size of the backlog's transactions.
const rowsPerTransaction = 1000

// fill makes the backlog: half inserts, half updates of rows of about 300 bytes.
func fill(ctx context.Context, dsn string, rows uint64) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range []string{
		"CREATE DATABASE bench",
		`CREATE TABLE bench.orders (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, customer INT NOT NULL, status VARCHAR(16) NOT NULL,
			email VARCHAR(80) NOT NULL, price DECIMAL(12,2) NOT NULL, weight DOUBLE, created DATETIME(3) NOT NULL, note VARCHAR(400) NOT NULL)
			CHARACTER SET utf8mb4`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	note := strings.Repeat("Leave it with the neighbour, please. ", 5)
	for first := uint64(0); first < rows/2; first += rowsPerTransaction {
		var text strings.Builder
		text.WriteString("INSERT INTO bench.orders VALUES ")
		for id := first; id < first+rowsPerTransaction; id++ {
			if id > first {
				text.WriteByte(',')
			}
			fmt.Fprintf(&text, "(%d,%d,'open','customer%d@shop.example',%d.%02d,%d.5,'2026-01-02 03:04:05.678','%s%d')",
				id, id%5000, id%5000, id%1000, id%100, id%37, note, id)
		}
		if _, err := db.ExecContext(ctx, text.String()); err != nil {
			return err
		}
	}
	for first := uint64(0); first < rows/2; first += rowsPerTransaction {
		if _, err := db.ExecContext(ctx, "UPDATE bench.orders SET status = 'paid', price = price + 1 WHERE id >= ? AND id < ?",
			first, first+rowsPerTransaction); err != nil {
			return err
		}
	}
	return nil
}
