package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play the program that starts a server and is killed: see TestDiesWithParent.
func TestMain(m *testing.M) {
	if kind := os.Getenv("SERVERS_TEST_PARENT"); kind != "" {
		s, err := Start(context.Background(), Kind(kind), Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(s.PID())
		select {}
	}
	os.Exit(m.Run())
}

// TestDiesWithParent kills the program that started a private server, and sees the server end. Elasticsearch is two processes.
func TestDiesWithParent(t *testing.T) {
	for _, kind := range []Kind{MariaDB, Elasticsearch} {
		t.Run(string(kind), func(t *testing.T) {
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), "SERVERS_TEST_PARENT="+string(kind))
			parent.Stderr = os.Stderr
			out, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal("the parent has not started its server: ", err)
			}
			var pid int
			if _, err := fmt.Sscan(line, &pid); err != nil {
				t.Fatal(err)
			}
			server, err := processOf(pid)
			if err != nil || !server.alive() {
				t.Fatalf("process %d: %v", pid, err)
			}
			if err := parent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := server.groupGone(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestParseStat reads lines of /proc/PID/stat; a program may have any name.
func TestParseStat(t *testing.T) {
	line := "42 (a ) R (b) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 123456 1 2 3"
	got, err := parseStat(line)
	if want := (procStat{state: 'S', group: 17, threads: 9, start: 123456}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, line := range []string{"", "42", "42 (x) S 1", "42 (x) S a b c d e f g h i j k l m n o p q r s t"} {
		if _, err := parseStat(line); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}

// TestRecycledProcess checks that a process is known by more than its number.
func TestRecycledProcess(t *testing.T) {
	self, err := processOf(os.Getpid())
	if err != nil || !self.alive() {
		t.Fatalf("this process: %+v, %v", self, err)
	}
	earlier, otherBoot := self, self
	earlier.Start--
	otherBoot.Boot = "another"
	for _, p := range []process{earlier, otherBoot} {
		if p.alive() {
			t.Errorf("%+v is alive", p)
		}
		if err := p.signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("signal %+v: %v", p, err)
		}
		if err := p.signalGroup(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("signal group of %+v: %v", p, err)
		}
	}
}

// TestStopStubborn checks that a process that ignores SIGTERM is killed, with its children, after the patience.
func TestStopStubborn(t *testing.T) {
	out := t.TempDir() + "/log"
	cmd := exec.Command("sh", "-c", "trap '' TERM; sleep 1000 & echo ready; wait; sleep 1000")
	c, err := spawn(cmd, out, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for tick := time.Tick(5 * time.Millisecond); ; <-tick {
		if text, err := os.ReadFile(out); err == nil && strings.Contains(string(text), "ready") {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the script has not started")
		}
	}
	if err := c.stop(ctx, 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	<-c.ended
	if len(groupOf(c.PID)) > 0 {
		for _, st := range groupOf(c.PID) {
			if st.runs() {
				t.Error("a child still runs")
			}
		}
	}
}
