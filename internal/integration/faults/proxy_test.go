package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// echo is a server that answers each line with the line, and counts what it hears.
type echo struct {
	net.Listener
	heard chan string
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: l, heard: make(chan string, 100)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewReader(conn); ; {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					e.heard <- strings.TrimSpace(line)
					if _, err := io.WriteString(conn, line); err != nil {
						return
					}
				}
			}()
		}
	}()
	return e
}

type client struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *Proxy) *client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hears(want string) {
	c.t.Helper()
	line, err := c.lines.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		c.t.Fatalf("heard %q, %v, want %q", line, err, want)
	}
}

// hearsNothing wants that nothing has come when d is over.
func (c *client) hearsNothing(d time.Duration) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(d))
	if line, err := c.lines.ReadString('\n'); !isTimeout(err) {
		c.t.Fatalf("heard %q, %v, want nothing", line, err)
	}
	c.SetReadDeadline(time.Time{})
}

func (c *client) isCut() {
	c.t.Helper()
	if line, err := c.lines.ReadString('\n'); err == nil || isTimeout(err) {
		c.t.Fatalf("heard %q, %v, want the end", line, err)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func newProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := NewProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestProxyLatency(t *testing.T) {
	p := newProxy(t, newEcho(t).Addr().String())
	c := dial(t, p)
	c.say("one")
	c.hears("one")
	const each = 50 * time.Millisecond
	p.Latency(each)
	began := time.Now()
	for n := range 10 { // they are all on their way at once
		c.say(fmt.Sprint(n))
	}
	for n := range 10 {
		c.hears(fmt.Sprint(n))
	}
	if took := time.Since(began); took < 2*each {
		t.Errorf("there and back took %v, want %v at least", took, 2*each)
	}
	p.Heal()
	c.say("two")
	c.hears("two")
}

func TestProxyBandwidth(t *testing.T) {
	p := newProxy(t, newEcho(t).Addr().String())
	p.Bandwidth(20_000)
	c := dial(t, p)
	began := time.Now()
	long := strings.Repeat("x", 2000)
	c.say(long)
	c.hears(long)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("2,000 bytes there and back at 20,000 a second took %v", took)
	}
}

// What is muted was done, and nobody is told; the next connection is as ever.
func TestProxyMute(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e.Addr().String())
	c := dial(t, p)
	c.say("one")
	c.hears("one")
	p.Mute()
	c.say("two")
	if <-e.heard; <-e.heard != "two" {
		t.Error("the server has not heard what was said")
	}
	c.hearsNothing(50 * time.Millisecond)
	p.Cut()
	c.isCut()
	c = dial(t, p)
	c.say("three")
	c.hears("three")
	p.Mute()
	c.say("four")
	for <-e.heard != "four" {
	}
	p.Heal() // the reply is missing for ever: the connection is of no use
	c.isCut()
}

// What a dead client has sent into a frozen network is delivered when it thaws.
func TestProxyDeliversLate(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e.Addr().String())
	c := dial(t, p)
	c.say("one")
	c.hears("one")
	<-e.heard
	p.Freeze()
	c.say("late")
	c.hearsNothing(50 * time.Millisecond)
	if n := p.Held(); n != int64(len("late\n")) {
		t.Errorf("%d bytes are on their way", n)
	}
	c.Close()
	p.Thaw()
	if line := <-e.heard; line != "late" {
		t.Errorf("the server heard %q", line)
	}
}

func TestProxyRefusesAndCuts(t *testing.T) {
	p := newProxy(t, newEcho(t).Addr().String())
	c := dial(t, p)
	c.say("one")
	c.hears("one")
	p.Refuse(true)
	dial(t, p).isCut()
	c.say("two")
	c.hears("two")
	p.Cut()
	c.isCut()
	p.Heal()
	c = dial(t, p)
	c.say("three")
	c.hears("three")
	p.Limit(3)
	c = dial(t, p)
	c.say("four")
	c.isCut()
}
