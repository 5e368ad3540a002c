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
	// changes are decoded as 079d8c94da439376
	// binlog config: Addr "db.example": want host:port
	// User: want the name of an account
	// Filter: filter pattern "shop": want schema.table, with * and ? as wildcards
}
