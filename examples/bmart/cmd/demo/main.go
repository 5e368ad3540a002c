// Command demo shows a shop's catalogs following their database, and checks that they do. Everything it needs it starts itself.
//
//	demo                      a page that shows it; ^C ends it
//	CHECK=1 demo              no page: a load, then everything is verified
//	CHECK=1 KILLS=20 KAFKA=real DB=mysql SINK=elastic demo
//
// Each setting is a flag and a variable of the environment: see -help.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/millrace-go/millrace/examples/bmart/demo"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && (os.Args[1] == demo.RelayChild || os.Args[1] == demo.ProjectorChild) {
		return demo.Child(os.Args[1])
	}
	cfg := demo.Config{Out: os.Stdout}
	var verbose bool
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	text := func(p *string, name, usage string) {
		flags.StringVar(p, flagName(name), os.Getenv(name), usage+" ("+name+")")
	}
	text(&cfg.DB, "DB", "database: mariadb or mysql; default mariadb")
	text(&cfg.Kafka, "KAFKA", "log: embedded or real; default embedded")
	text(&cfg.Sink, "SINK", "documents: memory, elastic or mongodb; default memory")
	text(&cfg.Addr, "ADDR", "address of the page, on loopback; default a free port")
	text(&cfg.Break, "BREAK", "do something wrong on purpose: the check must fail")
	var problem error
	number := func(p *int, name, usage string) {
		n, err := envNumber(name)
		if err != nil && problem == nil {
			problem = err
		}
		flags.IntVar(p, flagName(name), n, usage+" ("+name+")")
	}
	number(&cfg.Kills, "KILLS", "how often to kill relay or projector")
	number(&cfg.Catalogs, "CATALOGS", "number of catalogs; default 2400 with check, else 200")
	number(&cfg.Rate, "RATE", "row changes a second; default 2000 with check, else 150")
	number(&cfg.Changes, "CHANGES", "row changes of the check's load; default 50000")
	var seed, checks, loud int
	number(&seed, "SEED", "seed of load and killer; default by chance")
	number(&checks, "CHECK", "1: no page, verify, and exit non-zero when something is wrong")
	number(&loud, "VERBOSE", "1: the programs' own logs on standard error")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}
	if problem != nil || flags.NArg() > 0 || seed < 0 {
		fmt.Fprintln(os.Stderr, "demo: see -help:", problem, flags.Args())
		return 2
	}
	cfg.Seed, cfg.Check, verbose = uint64(seed), checks != 0, loud != 0
	if verbose {
		cfg.Log = os.Stderr
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := demo.Run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

func flagName(variable string) string {
	name := []byte(variable)
	for i := range name {
		name[i] |= 0x20
	}
	return string(name)
}

// envNumber reads a number from the environment.
func envNumber(name string) (int, error) {
	text := os.Getenv(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s=%q is not a number", name, text)
	}
	return n, nil
}
