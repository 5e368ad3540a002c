// Package environ is what the checks' commands have in common: they read their settings from the environment, as in `make verify-… SEED=7 DB=mysql`, and
// run on one database server after the other.
package environ

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Settings collects what is asked for and what is wrong with it. Its zero value is ready.
type Settings struct {
	problems []error
	usages   strings.Builder
	parts    []string // that the command line may name
	chosen   *[]string
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

// Duration sets p to as many units as the variable says, or to the default.
func (s *Settings) Duration(p *time.Duration, name string, byDefault int, unit time.Duration, usage string) {
	var n int
	s.Number(&n, name, byDefault, usage)
	*p = time.Duration(n) * unit
}

// Seed sets p to what SEED says. 0, the default, is a seed by chance.
func (s *Settings) Seed(p *uint64, of string) {
	var n int
	s.Number(&n, "SEED", 0, "seed of "+of+"; default by chance")
	*p = uint64(n)
}

// Verbose sets p to standard error if VERBOSE says so.
func (s *Settings) Verbose(p *io.Writer, whose string) {
	var n int
	s.Number(&n, "VERBOSE", 0, "1: "+whose+" own log on standard error")
	if n > 0 {
		*p = os.Stderr
	}
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

// Parts lets the command line choose among the command's parts. [Settings.Run] sets p to those, or to all when none is named.
func (s *Settings) Parts(p *[]string, names ...string) { s.parts, s.chosen = names, p }

// Run runs the command, unless the settings or the command line are wrong; an interrupt ends the context. It prints the error, and returns the exit
// code: 2 for what was wrong with the settings, 1 for what check returned. -h prints the settings, and ends the program.
func (s *Settings) Run(command string, check func(context.Context) error) int {
	if err := s.commandLine(command); err != nil {
		fmt.Fprintln(os.Stderr, command+":", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := check(ctx); err != nil {
		fmt.Fprintln(os.Stderr, command+":", err)
		return 1
	}
	return 0
}

// commandLine says everything that is wrong with the settings and the command line.
func (s *Settings) commandLine(command string) error {
	flag.Usage = func() {
		synopsis := command
		for _, part := range s.parts {
			synopsis += " [" + part + "]"
		}
		_, _ = io.WriteString(os.Stderr, synopsis+" takes its settings from the environment:\n"+s.usages.String())
	}
	flag.Parse()
	return s.arguments(flag.Args())
}

func (s *Settings) arguments(args []string) error {
	switch {
	case s.chosen == nil && len(args) > 0:
		s.problems = append(s.problems, fmt.Errorf("arguments %q: want none", args))
	case s.chosen != nil:
		for _, part := range args {
			if !slices.Contains(s.parts, part) {
				s.problems = append(s.problems, fmt.Errorf("argument %q: want %s", part, strings.Join(s.parts, ", ")))
			}
		}
		if *s.chosen = args; len(args) == 0 {
			*s.chosen = s.parts
		}
	}
	return errors.Join(s.problems...)
}
