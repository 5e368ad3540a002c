package main

import (
	"database/sql"
	"fmt"
	"os"
	"strings"

	_ "github.com/go-sql-driver/mysql"
)

func main() {
	for _, port := range []string{"24307", "24306"} {
		db, err := sql.Open("mysql", "root@tcp(127.0.0.1:"+port+")/")
		if err != nil {
			panic(err)
		}
		db.SetMaxOpenConns(1)
		q := "SHOW MASTER STATUS"
		if port == "24306" {
			q = "SHOW BINARY LOG STATUS"
		}
		var f, p string
		var rest [3]sql.NullString
		if port == "24306" {
			err = db.QueryRow(q).Scan(&f, &p, &rest[0], &rest[1], &rest[2])
		} else {
			err = db.QueryRow(q).Scan(&f, &p, &rest[0], &rest[1])
		}
		if err != nil {
			panic(err)
		}
		text, _ := os.ReadFile(os.Args[1])
		for _, s := range strings.Split(string(text), "\n") {
			if s == "" {
				continue
			}
			if _, err := db.Exec(s); err != nil {
				fmt.Println(port, s, "ERR", err)
			}
		}
		rows, err := db.Query("SHOW BINLOG EVENTS IN '" + f + "' FROM " + p)
		if err != nil {
			panic(err)
		}
		for rows.Next() {
			var a [6]sql.NullString
			if err := rows.Scan(&a[0], &a[1], &a[2], &a[3], &a[4], &a[5]); err != nil {
				panic(err)
			}
			if strings.Contains(a[5].String, "e_probe") || a[2].String == "Gtid" {
				fmt.Println(port, a[2].String, a[5].String)
			}
		}
	}
}
