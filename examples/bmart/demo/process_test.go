package demo

import (
	"io"
	"strings"
	"testing"
)

func TestProcessIsStartedAgainWhenKilled(t *testing.T) {
	p := newProcess(goodChild, task{}, io.Discard, func(report) {})
	ended := make(chan error, 1)
	go func() { ended <- p.run() }()
	pids := map[int]bool{}
	for range 3 {
		if err := p.waitBegun(t.Context()); err != nil {
			t.Fatal(err)
		}
		pid, _ := p.pidAndStarts()
		pids[pid] = true
		p.kill()
	}
	if err := p.waitBegun(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.drain()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if _, starts := p.pidAndStarts(); starts != 4 || len(pids) != 3 {
		t.Errorf("%d starts, %d processes killed; want 4 and 3", starts, len(pids))
	}
}

func TestProcessThatFails(t *testing.T) {
	err := newProcess(badChild, task{}, io.Discard, func(report) {}).run()
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "nothing works") {
		t.Errorf("error is %v, want the exit status and the last line of the log", err)
	}
}

func TestProcessDrainedBeforeItsStart(t *testing.T) {
	p := newProcess(badChild, task{}, io.Discard, func(report) {})
	p.drain()
	if err := p.run(); err != nil {
		t.Errorf("run: %v", err)
	}
}
