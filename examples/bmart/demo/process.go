package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process keeps a child process running: one that was killed is started again.
type process struct {
	name   string
	task   task
	log    io.Writer
	report func(report)

	mu       sync.Mutex
	cmd      *exec.Cmd
	stdin    io.Closer
	killed   bool // by kill
	draining bool
	starts   int
	working  bool  // the running child has begun its work
	changed  pulse // working has changed
}

func newProcess(name string, t task, log io.Writer, report func(report)) *process {
	return &process{name: name, task: t, log: log, report: report}
}

// run returns when the child has ended by itself, which is an error unless it was asked to.
func (p *process) run() error {
	for {
		last := &lastLine{}
		wait, err := p.start(last)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if wait == nil {
			return nil
		}
		err = wait()
		p.mu.Lock()
		killed, draining := p.killed, p.draining
		p.mu.Unlock()
		if draining && (err == nil || killed) {
			return nil
		}
		if !killed {
			return fmt.Errorf("%s process: %w: %s", p.name, reason(err), last.String())
		}
	}
}

// reason is why a child ended.
func reason(err error) error {
	if err == nil {
		return errors.New("ended without being asked to")
	}
	return err
}

// start starts the child and returns how to wait for its end; nil if it is to end anyway.
func (p *process) start(last *lastLine) (wait func() error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return nil, nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), program, p.name) // it ends by kill or drain
	cmd.Stderr = io.MultiWriter(p.log, last)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := json.Marshal(p.task)
	if err == nil {
		_, err = stdin.Write(append(line, '\n')) // small enough for a pipe
	}
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	p.cmd, p.stdin, p.killed, p.working = cmd, stdin, false, false
	p.starts++
	return func() error {
		p.listen(stdout)
		return cmd.Wait()
	}, nil
}

// listen hands on the child's reports until there are no more.
func (p *process) listen(stdout io.Reader) {
	lines := bufio.NewReaderSize(stdout, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // the last line of a killed child may be torn
		}
		var m report
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		if m.Event == eventBegan || m.Event == eventWindow {
			p.mu.Lock()
			p.working = !p.killed
			p.mu.Unlock()
			p.changed.beat()
		}
		p.report(m)
	}
}

// kill ends the child with SIGKILL. It is started again.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && !p.draining {
		p.killed, p.working = true, false
		_ = p.cmd.Process.Kill() // it may have ended
	}
}

// drain asks the child to finish what it has in hand and end.
func (p *process) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return
	}
	p.draining = true
	if p.stdin != nil {
		_ = p.stdin.Close() // it may have ended
	}
}

// waitBegun waits until a child has begun its work that has not been killed since.
func (p *process) waitBegun(ctx context.Context) error {
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		p.mu.Lock()
		working, changed := p.working, p.changed.next()
		p.mu.Unlock()
		if working {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
			return fmt.Errorf("%s process has not begun within a minute", p.name)
		}
	}
}

// pidAndStarts returns the child's process id and how often one was started.
func (p *process) pidAndStarts() (pid, starts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		pid = p.cmd.Process.Pid
	}
	return pid, p.starts
}

// lastLine keeps the last line written to it.
type lastLine struct {
	mu   sync.Mutex
	line []byte
	rest []byte
}

func (l *lastLine) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, text...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(text), nil
		}
		l.line, l.rest = bytes.Clone(line), rest
	}
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.line)
}
