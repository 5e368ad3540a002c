package transactions

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Config says what to run on one server. Kind is needed, the rest has defaults.
type Config struct {
	Kind servers.Kind // servers.MySQL or servers.MariaDB
	// Seed decides what the load does and when the relay is killed. 0 is a seed by chance. It is printed.
	Seed uint64
	// Transactions is how many the load begins, at least. Default 6,000.
	Transactions int
	// Kills is how often the relay is killed. 0 means never.
	Kills int
	// Restarts is how often the server is restarted, by turns shut down and killed. 0 means never.
	Restarts int
	// Break has the relay do something wrong on purpose, so that the check can be seen to fail; see breakages.
	Break string
	// Deadline is for everything but the installation. Default 10 minutes.
	Deadline time.Duration

	Out io.Writer // what happens, line by line
	Log io.Writer // the relay's own log; nil: nowhere
}

func (c Config) withDefaults() (Config, error) {
	var problems []error
	if c.Kind != servers.MySQL && c.Kind != servers.MariaDB {
		problems = append(problems, fmt.Errorf("Kind %q: want %s or %s", c.Kind, servers.MySQL, servers.MariaDB))
	}
	if c.Transactions < 0 || c.Kills < 0 || c.Restarts < 0 {
		problems = append(problems, errors.New("Transactions, Kills and Restarts must not be negative"))
	}
	if c.Break != "" && breakages[c.Break] == nil {
		problems = append(problems, fmt.Errorf("Break %q: not known", c.Break))
	}
	if c.Transactions == 0 {
		c.Transactions = 6000
	}
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
