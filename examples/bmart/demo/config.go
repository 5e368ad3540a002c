package demo

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Config says what to run. Its zero value is the demo with its page on a free port.
type Config struct {
	DB    string // mysql or mariadb; empty: mariadb
	Kafka string // embedded or real; empty: embedded
	Sink  string // memory, elastic or mongodb; empty: memory
	Addr  string // of the page, on loopback; empty: a free port

	Check bool // no page: a bounded load, then verify
	Kills int  // how many times to kill relay or projector while the load runs
	// Seed decides what the load does and whom the killer chooses. 0 is a seed by chance. It is printed.
	Seed uint64
	// Break is something to do wrong on purpose, so that the check can be seen to fail; see breakages.
	Break string

	Catalogs int           // 0: 2,400 with Check, else 200, which are larger
	Rate     int           // row changes a second; 0: 2,000 with Check, else 150
	Changes  int           // row changes of a Check's load, after the catalogs are filled; 0: 50,000
	Deadline time.Duration // of the whole check; 0: 10 minutes

	Out io.Writer // what happens, line by line
	Log io.Writer // the programs' own logs; nil: nowhere

	// What a check must have compared to count; 0: 50,000 changes and 2,000 documents of each read model.
	minChanges, minDocuments int
	// shown hears where the page is, and gets the database of an administrator. May be nil.
	shown func(url string, admin *sql.DB)
}

// withDefaults fills in the defaults, or reports all that is wrong.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	choose := func(name string, value *string, choices ...string) {
		*value = strings.ToLower(*value)
		if *value == "" {
			*value = choices[0]
		}
		if !slices.Contains(choices, *value) {
			problems = append(problems, fmt.Errorf("%s=%s: want %s", name, *value, strings.Join(choices, ", ")))
		}
	}
	choose("DB", &c.DB, string(servers.MariaDB), string(servers.MySQL))
	choose("KAFKA", &c.Kafka, "embedded", "real")
	choose("SINK", &c.Sink, sinkMemory, sinkElastic, sinkMongoDB)
	choose("BREAK", &c.Break, append([]string{""}, breakages...)...)
	if c.Kills < 0 || c.Rate < 0 || c.Changes < 0 || c.Catalogs < 0 {
		problems = append(problems, errors.New("KILLS, RATE, CHANGES and CATALOGS must not be negative"))
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if host, _, err := net.SplitHostPort(c.Addr); err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		problems = append(problems, fmt.Errorf("ADDR=%s: want a port of loopback, 127.0.0.1:8080 for one: the page asks nobody who he is", c.Addr))
	}
	if c.Break != "" && !c.Check {
		problems = append(problems, errors.New("BREAK wants CHECK=1"))
	}
	number := func(value *int, check, page int) {
		if *value == 0 {
			*value = page
			if c.Check {
				*value = check
			}
		}
	}
	number(&c.Catalogs, 2400, 200)
	number(&c.Rate, 2000, 150)
	number(&c.Changes, 50_000, 0)
	number(&c.minChanges, 50_000, 0)
	number(&c.minDocuments, 2_000, 0)
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1e9) + 1
	}
	if c.Deadline == 0 {
		c.Deadline = 10 * time.Minute
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	return c, errors.Join(problems...)
}
