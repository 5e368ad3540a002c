package binlog_test

import (
	"fmt"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
)

func ExampleNew() {
	source, err := binlog.New(binlog.Config{
		Addr: "db.example:3306", User: "cdc", Password: "secret",
		Filter: cdc.Filter{Include: []string{"shop.*"}, Exclude: []string{"shop.session"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("changes are decoded as", source.ConfigID())

	_, err = binlog.New(binlog.Config{Addr: "db.example", Filter: cdc.Filter{Include: []string{"shop"}}})
	fmt.Println(err)
	// Output:
	// changes are decoded as 3fee2ab4a37f6167
	// binlog config: Addr "db.example": want host:port
	// User: want the name of an account
	// Filter: filter pattern "shop": want schema.table, with * and ? as wildcards
}

func ExampleConfig_columns() {
	cfg := binlog.Config{Addr: "db.example:3306", User: "cdc",
		Columns: cdc.Columns{
			Exclude: []string{"shop.customer.note"},
			Masks:   []cdc.Mask{cdc.Redact("***", "*.*.password"), cdc.Hash([]byte("0123456789abcdef"), "shop.*.email")},
		},
		Keys: cdc.Keys{{Tables: "shop.visit", Columns: []string{"*"}}}, // has no primary key
	}
	chosen, err := binlog.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.Columns.Masks[1] = cdc.Hash([]byte("another 16 bytes"), "shop.*.email")
	another, err := binlog.New(cfg)
	fmt.Println("the same configuration:", chosen.ConfigID() == another.ConfigID(), err)

	cfg.Columns.Masks[1] = cdc.Hash([]byte("guessable"), "shop.email")
	_, err = binlog.New(cfg)
	fmt.Println(err)
	// Output:
	// the same configuration: false <nil>
	// binlog config: Columns: Masks[1]: the secret has 9 bytes, want 16 or more
	// pattern "shop.email": want schema.table.column, with * and ? as wildcards
}
