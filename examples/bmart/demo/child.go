package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// The names of the child processes: the first argument of the program.
const (
	RelayChild     = "relay"
	ProjectorChild = "projector"
)

// Child does the work of a child process until its standard input ends, and returns the process's exit code.
func Child(name string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})).With("process", name)
	return supervise.Serve(func(ctx context.Context, line []byte) error {
		var t task
		if err := json.Unmarshal(line, &t); err != nil {
			return fmt.Errorf("read the task: %w", err)
		}
		switch name {
		case RelayChild:
			return runRelay(ctx, t, newReporter(), log)
		case ProjectorChild:
			return runProjector(ctx, t, newReporter(), log)
		default:
			return errors.New("unknown child process")
		}
	})
}
