// Package schema holds the tables of the example and the accounts of the programs that use them.
package schema

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"strings"
)

// Database is the database of the tables.
const Database = "bmart"

// The tables.
const (
	Catalog  = "catalog"
	Category = "category"
	Product  = "product"
	Stock    = "stock"
)

// Tables are the tables' names.
var Tables = []string{Catalog, Category, Product, Stock}

//go:embed schema.sql
var schema string

// Account is a database user and what it may do.
type Account struct {
	User, Password string
	Rights         string // as in GRANT rights ON bmart.*
}

// Shop is the account of the load: it changes rows.
func Shop(password string) Account {
	return Account{User: "shop", Password: password, Rights: "SELECT, INSERT, UPDATE, DELETE"}
}

// Reader is the account of the check: it only reads. The projectors need none.
func Reader(password string) Account {
	return Account{User: "reader", Password: password, Rights: "SELECT"}
}

// Create makes the database, its tables and the accounts. db is an administrator's.
func Create(ctx context.Context, db *sql.DB, accounts ...Account) error {
	for statement := range strings.SplitSeq(schema, ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	}
	for _, a := range accounts {
		for _, statement := range []string{
			"CREATE USER '" + a.User + "'@'%' IDENTIFIED BY '" + a.Password + "'",
			"GRANT " + a.Rights + " ON " + Database + ".* TO '" + a.User + "'@'%'",
		} {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("create account %s: %w", a.User, err)
			}
		}
	}
	return nil
}
