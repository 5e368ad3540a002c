package faults

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy forwards TCP connections to a server, and spoils them on demand. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup
	ended    chan struct{} // closed by Close
	held     atomic.Int64  // bytes from clients that the server has not been given

	mu      sync.Mutex
	open    map[net.Conn]bool
	refuse  bool
	limit   int64
	latency time.Duration
	rate    int
	mute    bool
	flowing chan struct{} // closed while data flow
	closed  bool
}

// NewProxy listens on a free port of 127.0.0.1 and forwards to target, host:port.
func NewProxy(target string) (*Proxy, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, ended: make(chan struct{}), open: map[net.Conn]bool{}, flowing: make(chan struct{})}
	close(p.flowing)
	p.work.Go(p.accept)
	return p, nil
}

// Addr is where to connect, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut closes all connections, and ends a Mute. New ones are forwarded.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = false
	for c := range p.open {
		c.Close()
	}
}

// Refuse makes the proxy close new connections at once, or forward them again.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Limit makes the proxy cut each new connection after so many bytes from the server; 0 lifts it.
func (p *Proxy) Limit(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = bytes
}

// Held tells how many bytes of clients are on their way: the server has not been given them.
func (p *Proxy) Held() int64 { return p.held.Load() }

// Latency delays what passes from now on, in both directions; 0 ends it. Nothing overtakes.
func (p *Proxy) Latency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// Bandwidth lets so many bytes a second through each connection and direction; 0 lifts it.
func (p *Proxy) Bandwidth(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = bytes
}

// Mute lets the server hear everything, and drops what it answers, until Cut: what was asked is done, and nobody is told. Connections that are made
// after the Cut are forwarded.
func (p *Proxy) Mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// Freeze lets nothing through any more, in no direction, and closes nothing: connections are half open, as behind a firewall that has
// forgotten them.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flowing:
		p.flowing = make(chan struct{})
	default:
	}
}

// Heal ends everything but a Limit: what the connections hold is delivered.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.latency, p.rate = false, 0, 0
	if p.mute { // a reply is missing in the middle of the stream
		p.mute = false
		for c := range p.open {
			c.Close()
		}
	}
	p.thaw()
}

// Thaw ends a Freeze.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thaw()
}

func (p *Proxy) thaw() {
	select {
	case <-p.flowing:
	default:
		close(p.flowing)
	}
}

// Close ends everything and waits for it.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if !p.closed {
		close(p.ended)
	}
	p.closed = true
	for c := range p.open {
		c.Close()
	}
	p.thaw()
	p.mu.Unlock()
	err := p.listener.Close()
	p.work.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.forward(client) })
	}
}

func (p *Proxy) forward(client net.Conn) {
	defer client.Close()
	if !p.add(client) {
		return
	}
	defer p.remove(client)
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.add(server) {
		return
	}
	defer p.remove(server)
	p.mu.Lock()
	limit := p.limit
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.copy(server, client, 0, false)
	}()
	p.copy(client, server, limit, true)
	<-done
}

// piece is something on its way.
type piece struct {
	data []byte
	due  time.Time
}

// onTheWay is how many pieces a connection may hold in each direction.
const onTheWay = 64

// copy forwards until one side ends or limit bytes have passed, and ends both.
func (p *Proxy) copy(to, from net.Conn, limit int64, replies bool) {
	defer to.Close()
	defer from.Close()
	pieces, written := make(chan piece, onTheWay), make(chan struct{})
	go func() {
		defer close(written)
		defer to.Close()
		p.deliver(to, pieces, replies)
		from.Close()
		for left := range pieces { // the reader may wait for room
			p.passed(left, replies)
		}
	}()
	p.collect(from, pieces, limit, replies)
	close(pieces)
	<-written
}

// collect reads until the connection ends or limit bytes have come.
func (p *Proxy) collect(from net.Conn, pieces chan<- piece, limit int64, replies bool) {
	buf := make([]byte, 32<<10)
	for passed := int64(0); ; {
		n, err := from.Read(buf)
		if passed += int64(n); limit > 0 && passed > limit {
			n, err = n-int(passed-limit), net.ErrClosed
		}
		if n > 0 {
			p.mu.Lock()
			due := time.Now().Add(p.latency)
			p.mu.Unlock()
			if !replies {
				p.held.Add(int64(n))
			}
			pieces <- piece{bytes.Clone(buf[:n]), due}
		}
		if err != nil {
			return
		}
	}
}

// passed takes note that a piece is not on its way any more.
func (p *Proxy) passed(one piece, replies bool) {
	if !replies {
		p.held.Add(-int64(len(one.data)))
	}
}

// deliver writes each piece when its time has come, and returns when it cannot.
func (p *Proxy) deliver(to net.Conn, pieces <-chan piece, replies bool) {
	for next := range pieces {
		ok := p.deliverOne(to, next, replies)
		p.passed(next, replies)
		if !ok {
			return
		}
	}
}

func (p *Proxy) deliverOne(to net.Conn, next piece, replies bool) bool {
	p.mu.Lock()
	rate := p.rate
	p.mu.Unlock()
	due := next.due
	if rate > 0 {
		due = latest(due, time.Now().Add(time.Duration(len(next.data))*time.Second/time.Duration(rate)))
	}
	if !p.until(due) {
		return false
	}
	p.mu.Lock()
	flowing, mute := p.flowing, p.mute && replies
	p.mu.Unlock()
	<-flowing
	if mute {
		return true
	}
	_, err := to.Write(next.data)
	return err == nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// until waits; false when the proxy was closed first.
func (p *Proxy) until(due time.Time) bool {
	left := time.Until(due)
	if left <= 0 {
		return true
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ended:
		return false
	}
}

func (p *Proxy) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.closed {
		return false
	}
	p.open[c] = true
	return true
}

func (p *Proxy) remove(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}
