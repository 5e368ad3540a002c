package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process keeps a child process running: one that was killed is started again. It is safe for concurrent use.
type Process struct {
	name string
	task any
	log  io.Writer
	line func(line []byte) (working bool)

	mu       sync.Mutex
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	killed   bool   // by kill
	down     func() // to be called before it is started again; nil: nothing
	draining bool
	starts   int
	working  bool  // the running child has begun its work
	changed  Pulse // working has changed
}

// NewProcess prepares a child: this very program with name as its only argument, which calls [Serve]. It is given task as a line of JSON. What it
// writes to its standard error goes to log, and each line of its standard output to line, which tells whether the child has begun its work.
func NewProcess(name string, task any, log io.Writer, line func(line []byte) (working bool)) *Process {
	return &Process{name: name, task: task, log: log, line: line}
}

// Name is the child's name.
func (p *Process) Name() string { return p.name }

// Run starts the child, again and again, and returns when the child has ended by itself, which is an error unless it was asked to.
func (p *Process) Run() error {
	for {
		last := &LastLine{}
		wait, err := p.start(last)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if wait == nil {
			return nil
		}
		err = wait()
		p.mu.Lock()
		killed, draining, down := p.killed, p.draining, p.down
		p.down = nil
		p.mu.Unlock()
		if down != nil {
			down()
		}
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
func (p *Process) start(last *LastLine) (wait func() error, err error) {
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

// listen hands on the child's lines until there are no more.
func (p *Process) listen(stdout io.Reader) {
	lines := bufio.NewReaderSize(stdout, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // the last line of a killed child may be torn
		}
		if p.line(line) {
			p.mu.Lock()
			p.working = !p.killed
			p.mu.Unlock()
			p.changed.Beat()
		}
	}
}

// Kill ends the child with SIGKILL. It is started again.
func (p *Process) Kill() { p.KillAnd(nil) }

// KillAnd is Kill, and calls down when the child is gone, before it is started again.
func (p *Process) KillAnd(down func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && !p.draining {
		p.killed, p.working, p.down = true, false, down
		_ = p.cmd.Process.Kill() // it may have ended
	}
}

// Pause stops the child where it is (SIGSTOP): its connections stay open, and it does nothing until Continue.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (p *Process) Continue() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return os.ErrProcessDone
	}
	return p.cmd.Process.Signal(sig)
}

// Tell gives the running child an order, as a line of JSON; see [ServeOrders]. A child that has just been killed does not hear it.
func (p *Process) Tell(order any) error {
	line, err := json.Marshal(order)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stdin == nil || p.draining || p.killed {
		return os.ErrProcessDone
	}
	_, err = p.stdin.Write(append(line, '\n')) // small enough for a pipe
	return err
}

// Drain asks the child to finish what it has in hand and end.
func (p *Process) Drain() {
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

// WaitBegun waits until a child has begun its work that has not been killed since.
func (p *Process) WaitBegun(ctx context.Context) error {
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		p.mu.Lock()
		working, changed := p.working, p.changed.Next()
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

// PIDAndStarts returns the child's process id and how often one was started.
func (p *Process) PIDAndStarts() (pid, starts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		pid = p.cmd.Process.Pid
	}
	return pid, p.starts
}
