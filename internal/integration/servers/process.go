package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a server's process as the machine knows it. A process id alone is used again after its process has ended: only
// together with the start time, and the boot in which it was counted, it names one process for ever.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since the boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`  // /proc/sys/kernel/random/boot_id
}

// procStat is what /proc/PID/stat tells.
type procStat struct {
	state   byte
	group   int
	threads int
	start   uint64
}

// runs is false for a zombie. A process whose main thread has ended while others still run looks like one, but for their number.
func (st procStat) runs() bool {
	return st.state != 'X' && (st.state != 'Z' || st.threads > 1)
}

func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(string(text))
}

// parseStat reads a line of /proc/PID/stat. The second field is the program's name in brackets, which may itself hold blanks and brackets.
func parseStat(line string) (procStat, error) {
	_, rest, ok := strings.Cut(line[max(0, strings.LastIndexByte(line, ')')):], ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return procStat{}, errors.New("not a line of /proc/PID/stat")
	}
	group, err1 := strconv.Atoi(f[2])
	threads, err2 := strconv.Atoi(f[17])
	start, err3 := strconv.ParseUint(f[19], 10, 64)
	return procStat{state: f[0][0], group: group, threads: threads, start: start}, errors.Join(err1, err2, err3)
}

func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // absent in some sandboxes: then the start time has to do
	return strings.TrimSpace(string(text))
}

// processOf names the running process pid.
func processOf(pid int) (process, error) {
	st, err := readStat(pid)
	if err != nil {
		return process{}, fmt.Errorf("is /proc mounted? %w", err)
	}
	return process{PID: pid, Start: st.start, Boot: bootID()}, nil
}

// alive tells whether the process still runs; a zombie does not.
func (p process) alive() bool {
	st, err := readStat(p.PID)
	return err == nil && st.start == p.Start && p.Boot == bootID() && st.runs()
}

// signal sends to the process alone. The handle that FindProcess opens (a pidfd) keeps meaning the same process, so that the check
// and the signal cannot be about two.
func (p process) signal(sig syscall.Signal) error {
	h, err := os.FindProcess(p.PID)
	if err != nil {
		return err
	}
	defer func() { _ = h.Release() }()
	if !p.alive() {
		return os.ErrProcessDone
	}
	return h.Signal(sig)
}

// signalGroup sends to the process and to what it started: every server leads a process group of its own.
func (p process) signalGroup(sig syscall.Signal) error {
	if !p.alive() {
		return os.ErrProcessDone
	}
	return syscall.Kill(-p.PID, sig)
}

// groupGone waits until no process of the group runs any more: a server's ports and locks are free only then.
func (p process) groupGone(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if !slices.ContainsFunc(groupOf(p.PID), procStat.runs) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process group %d still runs: %w", p.PID, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// groupOf lists the processes of a group.
func groupOf(group int) (all []procStat) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil && st.group == group {
			all = append(all, st)
		}
	}
	return all
}

// pause stops the whole group, and returns when it has stopped.
func (p process) pause(ctx context.Context) error {
	if err := p.signalGroup(syscall.SIGSTOP); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if !slices.ContainsFunc(groupOf(p.PID), func(st procStat) bool { return st.runs() && st.state != 'T' && st.state != 't' }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process group %d has not stopped: %w", p.PID, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// stop asks the process to end, and kills its group when it has not done so in time.
func (p process) stop(ctx context.Context, patience time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	_ = p.signal(syscall.SIGCONT) // it may be paused, and would not hear
	polite, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.groupGone(polite) == nil {
		return nil
	}
	if err := p.kill(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// kill ends the whole group at once with SIGKILL and waits until it is gone.
func (p process) kill(ctx context.Context) error {
	if err := p.signalGroup(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return p.groupGone(ctx)
}

// A child is a process that this one started.
type child struct {
	process
	ended chan struct{} // closed when it has ended
}

// spawn starts cmd at the head of a process group, with its output appended to logFile. A private child is killed by the kernel when
// this process ends, however that happens; another outlives it.
func spawn(cmd *exec.Cmd, logFile string, private bool) (*child, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if private {
		cmd.SysProcAttr.Setpgid = true
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	} else {
		cmd.SysProcAttr.Setsid = true
	}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel sends the signal when the thread ends that made the child, not the process: keep this thread until the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how a server ended is told by its log
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p, err := processOf(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		return nil, err
	}
	return &child{process: p, ended: ended}, nil
}
