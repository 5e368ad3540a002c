package documents

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Config says what to run on one database server. Kind is needed, the rest has defaults.
type Config struct {
	Kind servers.Kind // servers.MySQL or servers.MariaDB
	// Seed decides what the clients do, and when the projector is disturbed. 0 is a seed by chance. It is printed.
	Seed uint64
	// Transactions is how many the clients begin. Default 20,000.
	Transactions int
	// Scale is about how many products there are; the other tables follow. Default 3,000.
	Scale int
	// Cuts is how many cuts there are before the one at the end. Default 10.
	Cuts int
	// Kills, Pauses and Losses say how often the projector's process is killed, stopped for a while (SIGSTOP), and killed with
	// its local state lost, damaged, or put back to an older one while it is down. Defaults 12, 6 and 12.
	Kills, Pauses, Losses int
	// Rivals is how often a second projector process, with a local state of its own, works on the same documents for a while. Default 4.
	Rivals int
	// Clients is how many connections change rows. Default 4.
	Clients int
	// Break does one thing wrong between the projector and the sinks, which must be found: see Breakages.
	Break string
	// Deadline is for everything but the installation. Default 30 minutes.
	Deadline time.Duration

	Out io.Writer // what happens, line by line
	Log io.Writer // the projector's own log; nil: nowhere
}

func (c Config) withDefaults() (Config, error) {
	var problems []error
	if c.Kind != servers.MySQL && c.Kind != servers.MariaDB {
		problems = append(problems, fmt.Errorf("Kind %q: want %s or %s", c.Kind, servers.MySQL, servers.MariaDB))
	}
	for what := range strings.SplitSeq(c.Break, ",") {
		if c.Break != "" && !slices.Contains(Breakages, what) {
			problems = append(problems, fmt.Errorf("Break %q: want some of %q", what, Breakages))
		}
	}
	for _, n := range []struct {
		name  string
		value *int
		byDef int
	}{
		{"Transactions", &c.Transactions, 20_000}, {"Scale", &c.Scale, 3000}, {"Cuts", &c.Cuts, 10}, {"Clients", &c.Clients, 4},
		{"Kills", &c.Kills, 0}, {"Pauses", &c.Pauses, 0}, {"Losses", &c.Losses, 0}, {"Rivals", &c.Rivals, 0},
	} {
		if *n.value < 0 {
			problems = append(problems, fmt.Errorf("%s is %d, want 0 or more", n.name, *n.value))
		}
		if *n.value == 0 {
			*n.value = n.byDef
		}
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1e9) + 1
	}
	if c.Deadline == 0 {
		c.Deadline = 30 * time.Minute
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	return c, errors.Join(problems...)
}
