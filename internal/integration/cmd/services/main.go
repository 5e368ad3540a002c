// Command services starts and stops the real servers that the integration tests and the demo use: MariaDB, MySQL, Kafka,
// Elasticsearch and MongoDB, natively on 127.0.0.1. What is missing is installed into a cache folder (MILLRACE_CACHE).
//
//	services start  [-KIND-port N] [kind…]   start what does not run; all kinds if none is named
//	services stop   [kind…]                  end what start has started, and nothing else
//	services status [kind…]                  what runs, where, and since when
//	services env    [kind…]                  lines for a shell: export MILLRACE_MYSQL=…
//
// The ports are fixed (see the usage), unless a flag or MILLRACE_KIND_PORT says otherwise. Data are fresh after each start.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "services:", err)
		}
		cancel()
		os.Exit(1)
	}
}

// A command does its work for one kind of server.
type command func(ctx context.Context, kind servers.Kind, port int, stdout io.Writer, logf func(string, ...any)) error

var commands = map[string]command{"start": start, "stop": stop, "status": status, "env": env}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("services", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: services start|stop|status|env [flags] [kind…]\nkinds:", servers.Kinds())
		flags.PrintDefaults()
	}
	ports := map[servers.Kind]*int{}
	for _, k := range servers.Kinds() {
		ports[k] = flags.Int(string(k)+"-port", 0, fmt.Sprintf("port of %s (default $%s or %d)", k, k.PortEnv(), k.DefaultPort()))
	}
	if len(args) == 0 {
		flags.Usage()
		return flag.ErrHelp
	}
	do, ok := commands[args[0]]
	if !ok {
		flags.Usage()
		if strings.HasPrefix(args[0], "-") {
			return flag.ErrHelp
		}
		return fmt.Errorf("unknown command %q", args[0])
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	kinds := servers.Kinds()
	if flags.NArg() > 0 {
		kinds = nil
		for _, name := range flags.Args() {
			k, err := servers.ParseKind(name)
			if err != nil {
				return err
			}
			kinds = append(kinds, k)
		}
	}
	logf := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	var errs []error
	for _, k := range kinds {
		errs = append(errs, do(ctx, k, *ports[k], stdout, logf))
	}
	return errors.Join(errs...)
}

func start(ctx context.Context, kind servers.Kind, port int, stdout io.Writer, logf func(string, ...any)) error {
	begin := time.Now()
	s, started, err := servers.StartShared(ctx, kind, servers.SharedOptions{Port: port, Logf: logf})
	switch {
	case err != nil:
		return err
	case started:
		fmt.Fprintf(stdout, "%-13s started in %.1f s: %v (%s, process %d)\n", kind, time.Since(begin).Seconds(), s.Address(), s.Version, s.PID())
	case port != 0 && port != s.Port:
		return fmt.Errorf("%s runs already, on port %d and not %d: stop it first (services stop %s)", kind, s.Port, port, kind)
	default:
		fmt.Fprintf(stdout, "%-13s runs already: %v (%s, process %d)\n", kind, s.Address(), s.Version, s.PID())
	}
	return nil
}

func stop(ctx context.Context, kind servers.Kind, _ int, stdout io.Writer, _ func(string, ...any)) error {
	s, stopped, err := servers.StopShared(ctx, kind)
	switch {
	case err != nil:
		return err
	case stopped:
		fmt.Fprintf(stdout, "%-13s stopped (process %d)\n", kind, s.PID())
	default:
		fmt.Fprintf(stdout, "%-13s did not run\n", kind)
	}
	return nil
}

func status(_ context.Context, kind servers.Kind, _ int, stdout io.Writer, _ func(string, ...any)) error {
	s, running, err := servers.LookShared(kind)
	switch {
	case err != nil:
		return err
	case !running:
		fmt.Fprintf(stdout, "%-13s does not run\n", kind)
	case !s.Ready:
		fmt.Fprintf(stdout, "%-13s is being started (process %d)\n", kind, s.PID())
	default:
		fmt.Fprintf(stdout, "%-13s runs: %v (%s, process %d, since %s, log %s)\n", kind, s.Address(), s.Version, s.PID(), s.Started.Format(time.RFC3339), s.Log)
	}
	return nil
}

func env(_ context.Context, kind servers.Kind, _ int, stdout io.Writer, logf func(string, ...any)) error {
	s, running, err := servers.LookShared(kind)
	if err != nil {
		return err
	}
	if !running || !s.Ready {
		logf("%s does not run", kind)
		return nil
	}
	fmt.Fprintf(stdout, "export %s='%s'\n", kind.Env(), s.Address().Value)
	return nil
}
