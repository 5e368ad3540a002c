// Package environ reads the settings of a check's command from its environment: `make verify-… SEED=7 DB=mysql`.
package environ

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Settings collects what is asked for and what is wrong with it. Its zero value is ready.
type Settings struct {
	problems []error
	usages   strings.Builder
}

// Number sets p to the number that the variable holds, or to the default.
func (s *Settings) Number(p *int, name string, byDefault int, usage string) {
	if text := os.Getenv(name); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			s.problems = append(s.problems, fmt.Errorf("%s=%s: want a number", name, text))
		}
		byDefault = n
	}
	*p = byDefault
	fmt.Fprintf(&s.usages, "  %s  %s\n", name, usage)
}

// Databases returns the kinds of servers that DB names.
func (s *Settings) Databases() []servers.Kind {
	s.usages.WriteString("  DB  mysql, mariadb or both; default both\n")
	switch db := os.Getenv("DB"); db {
	case "", "both":
	case string(servers.MySQL), string(servers.MariaDB):
		return []servers.Kind{servers.Kind(db)}
	default:
		s.problems = append(s.problems, fmt.Errorf("DB=%s: want mysql, mariadb or both", db))
	}
	return []servers.Kind{servers.MySQL, servers.MariaDB}
}

// Err says everything that is wrong with the settings and the command line, which takes no arguments. -h prints the settings, and ends the program.
func (s *Settings) Err(command string) error {
	flag.Usage = func() {
		_, _ = io.WriteString(os.Stderr, command+" takes its settings from the environment:\n"+s.usages.String())
	}
	flag.Parse()
	if flag.NArg() > 0 {
		s.problems = append(s.problems, fmt.Errorf("arguments %q: want none", flag.Args()))
	}
	return errors.Join(s.problems...)
}
