package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"
)

// The names of the child processes: the first argument of the program.
const (
	RelayChild     = "relay"
	ProjectorChild = "projector"
)

// drainPatience is how long a child may take to end by itself.
const drainPatience = 20 * time.Second

// Child does the work of a child process until its standard input ends, and returns the process's exit code.
func Child(name string) int {
	signal.Ignore(os.Interrupt) // ^C goes to all processes of the terminal; the supervisor says when to end
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})).With("process", name)
	if err := runChild(name, os.Stdin, log); err != nil {
		log.Error("stopped", "err", err)
		return 1
	}
	return 0
}

func runChild(name string, stdin io.Reader, log *slog.Logger) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the task from standard input: %w", err)
	}
	var t task
	if err := json.Unmarshal(line, &t); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	go func() {
		_, _ = io.Copy(io.Discard, in) // until the supervisor closes it, or is gone
		drain()
		time.AfterFunc(drainPatience, func() {
			log.Error("not drained in time", "patience", drainPatience)
			os.Exit(1)
		})
	}()
	switch name {
	case RelayChild:
		return runRelay(ctx, t, newReporter(), log)
	case ProjectorChild:
		return runProjector(ctx, t, newReporter(), log)
	default:
		return errors.New("unknown child process")
	}
}
