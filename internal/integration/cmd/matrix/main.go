// Command matrix reads the output of go test -json, prints what failed, and ends with the matrix of packages and servers that ran. It
// exits non-zero when a test failed or was skipped, when a package did not build, or when no test ran.
//
//	go test -json ./... | matrix
//
// A test names its server with t.Attr("server", name); servers.Find does that by itself. Its subtests count for that server.
package main

import (
	"fmt"
	"os"
)

func main() {
	report := newReport()
	if err := report.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(2)
	}
	report.print(os.Stdout)
	if !report.ok() {
		os.Exit(1)
	}
}
