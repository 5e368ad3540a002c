package supervise

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"
)

// drainPatience is how long a child may take to end by itself.
const drainPatience = 20 * time.Second

// Serve does the work of a child process and returns the process's exit code. The work is given the task, as JSON, and a context that ends
// when the supervisor wants it to end, or is gone. Its error is the last line on standard error.
func Serve(work func(ctx context.Context, task []byte) error) int {
	return ServeOrders(func(ctx context.Context, task []byte, _ <-chan []byte) error { return work(ctx, task) })
}

// ServeOrders is [Serve] for a child that takes orders. Each is a line of JSON; one that comes while the child does not listen waits, and those that
// come then are lost.
func ServeOrders(work func(ctx context.Context, task []byte, orders <-chan []byte) error) int {
	signal.Ignore(os.Interrupt) // ^C goes to all processes of the terminal; the supervisor says when to end
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", os.Args[len(os.Args)-1])
	if err := serve(work, log); err != nil {
		log.Error("stopped", "err", err)
		return 1
	}
	return 0
}

func serve(work func(ctx context.Context, task []byte, orders <-chan []byte) error, log *slog.Logger) error {
	in := bufio.NewReader(os.Stdin)
	task, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the task from standard input: %w", err)
	}
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	orders := make(chan []byte, 1)
	go func() {
		for { // until the supervisor closes it, or is gone
			order, err := in.ReadBytes('\n')
			if err != nil {
				break
			}
			select {
			case orders <- order:
			default:
			}
		}
		drain()
		time.AfterFunc(drainPatience, func() {
			log.Error("not drained in time", "patience", drainPatience)
			os.Exit(1)
		})
	}()
	return work(ctx, task, orders)
}
