package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// The tests' own program is also that of their child processes: one works until it is to end, one fails at once.
const (
	goodChild = "good-child"
	badChild  = "bad-child"
	echoChild = "echo-child"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case goodChild:
			os.Exit(Serve(func(ctx context.Context, _ []byte) error {
				fmt.Println("working")
				<-ctx.Done()
				return nil
			}))
		case echoChild:
			os.Exit(ServeOrders(func(ctx context.Context, _ []byte, orders <-chan []byte) error {
				fmt.Println("working")
				for {
					select {
					case order := <-orders:
						fmt.Print(string(order))
					case <-ctx.Done():
						return nil
					}
				}
			}))
		case badChild:
			os.Exit(Serve(func(context.Context, []byte) error { return errors.New("nothing works") }))
		}
	}
	os.Exit(m.Run())
}

func working(line []byte) bool { return string(line) == "working\n" }

func TestProcessIsStartedAgainWhenKilled(t *testing.T) {
	p := NewProcess(goodChild, nil, io.Discard, working)
	ended := make(chan error, 1)
	go func() { ended <- p.Run() }()
	pids := map[int]bool{}
	for range 3 {
		if err := p.WaitBegun(t.Context()); err != nil {
			t.Fatal(err)
		}
		pid, _ := p.PIDAndStarts()
		pids[pid] = true
		p.Kill()
	}
	if err := p.WaitBegun(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Drain()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if _, starts := p.PIDAndStarts(); starts != 4 || len(pids) != 3 {
		t.Errorf("%d starts, %d processes killed; want 4 and 3", starts, len(pids))
	}
}

func TestProcessThatFails(t *testing.T) {
	err := NewProcess(badChild, nil, io.Discard, working).Run()
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "nothing works") {
		t.Errorf("error is %v, want the exit status and the last line of the log", err)
	}
}

func TestProcessDrainedBeforeItsStart(t *testing.T) {
	p := NewProcess(badChild, nil, io.Discard, working)
	p.Drain()
	if err := p.Run(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// A child that is paused hears what it was told meanwhile when it goes on.
func TestProcessTakesOrders(t *testing.T) {
	said := make(chan string, 10)
	p := NewProcess(echoChild, nil, io.Discard, func(line []byte) bool {
		if !working(line) {
			said <- strings.TrimSpace(string(line))
		}
		return working(line)
	})
	ended := make(chan error, 1)
	go func() { ended <- p.Run() }()
	if err := p.WaitBegun(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Tell("go"); err != nil || <-said != `"go"` {
		t.Fatalf("tell: %v, or it heard something else", err)
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Tell("wake up"); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-said:
		t.Errorf("a stopped process said %q", line)
	default:
	}
	if err := p.Continue(); err != nil || <-said != `"wake up"` {
		t.Errorf("continue: %v, or it heard something else", err)
	}
	p.Drain()
	if err := p.Tell("late"); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("tell a process that is to end: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}
