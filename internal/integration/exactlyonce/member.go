package exactlyonce

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/millrace-go/millrace/internal/integration/faults"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// member is one of the two relays, as its supervisor sees it.
type member struct {
	name     string
	process  *supervise.Process
	journal  *journal
	kafka    []*faults.Proxy // by node
	database *faults.Proxy
	changed  *supervise.Pulse // something happened to any relay
	ended    chan struct{}

	mu       sync.Mutex
	readies  int    // starts of the process that have come so far
	running  bool   // it was told to relay, and neither died since nor learned of a successor
	replaced bool   // it has learned of a successor since it was told to relay, and does not go on by itself
	standing bool   // it was told to stand by
	began    int    // times that it took over the log
	flushing int    // flushes begun
	flushed  int    // flushes done
	fenced   int    // times that it learned of a successor
	standby  string // the leader as it saw it last, while it stood by
	halted   string // the step where it waits
	tails    int    // unfinished flushes of a predecessor, finished
	retries  int
	took     time.Duration // a flush, on average
	peak     uint64        // resident bytes
}

func newMember(name string, t task, log io.Writer, changed *supervise.Pulse) *member {
	m := &member{name: name, journal: &journal{next: log}, changed: changed, ended: make(chan struct{})}
	t.Name = name
	m.process = supervise.NewProcess(RelayChild, t, m.journal, m.heard)
	return m
}

// heard takes a line of the relay's process.
func (m *member) heard(line []byte) (working bool) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		return false // the torn last line of one that was killed
	}
	m.mu.Lock()
	switch e.Kind {
	case eventReady:
		m.readies++
		m.halted, m.standby, m.running, m.replaced = "", "", false, false
		working = true
	case eventBegan:
		m.began++
	case eventTail:
		if e.Records > 0 {
			m.tails++
		}
	case eventFlushing:
		m.flushing++
	case eventFlushed:
		m.flushed++
		m.took = (3*m.took + e.Took) / 4
	case eventFenced:
		m.fenced++
		m.running, m.replaced = false, !m.standing
	case eventStandby:
		m.standby = e.Text
	case eventHalted:
		m.halted = e.Step
	case eventRetry:
		m.retries++
	case eventMemory:
		m.peak = max(m.peak, e.Peak)
	}
	m.mu.Unlock()
	m.changed.Beat()
	return working
}

// counts is a member's state at one moment.
type counts struct {
	began, flushing, flushed, fenced, retries int
	halted                                    string
	running, replaced                         bool
}

func (m *member) counts() counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return counts{m.began, m.flushing, m.flushed, m.fenced, m.retries, m.halted, m.running, m.replaced}
}

// await waits until ok, which is asked again whenever something happened to a relay. Each second nudge is called.
func await(ctx context.Context, patience time.Duration, changed *supervise.Pulse, what string, nudge func(), ok func() bool) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		next := changed.Next()
		if ok() {
			return nil
		}
		select {
		case <-next:
		case <-tick.C:
			if nudge != nil {
				nudge()
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
			return fmt.Errorf("not within %v: %s", patience, what)
		}
	}
}

// kill ends the process with SIGKILL, and returns when its successor waits to be told.
func (m *member) kill(ctx context.Context) error {
	m.mu.Lock()
	readies := m.readies
	m.mu.Unlock()
	m.process.Kill()
	return await(ctx, time.Minute, m.changed, "relay "+m.name+" is started again", nil, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.readies > readies
	})
}

// run tells the relay to begin.
func (m *member) run() error { return m.begin(order{Do: doRun}) }

// standBy tells the relay to run as one of several: it begins when its turn has come.
func (m *member) standBy() error { return m.begin(order{Do: doRun, Standby: true}) }

func (m *member) begin(o order) error {
	m.mu.Lock()
	m.running, m.replaced, m.standing = true, false, o.Standby
	m.mu.Unlock()
	return m.process.Tell(o)
}

// follows tells whether the relay stands by, and sees that another one leads.
func (m *member) follows(leader string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.standby == leader
}

// arm makes the relay wait when it comes to a step.
func (m *member) arm(step string) error {
	m.mu.Lock()
	m.halted = ""
	m.mu.Unlock()
	return m.process.Tell(order{Do: doHalt, Step: step})
}

// goOn ends the wait.
func (m *member) goOn() error { return m.process.Tell(order{Do: doGo}) }

// held tells how many bytes its networks to Kafka hold back.
func (m *member) held() (n int64) {
	m.every(func(p *faults.Proxy) { n += p.Held() })
	return n
}

// every calls do for each of the relay's networks to Kafka.
func (m *member) every(do func(*faults.Proxy)) {
	for _, p := range m.kafka {
		do(p)
	}
}
