package eventstoretest

import "sync"

// Fate is what happens to records on their way to the store.
type Fate int

const (
	// Deliver lets them arrive and be acknowledged.
	Deliver Fate = iota
	// Drop loses them. The sender learns nothing.
	Drop
	// LoseReply lets them arrive, and loses the acknowledgement. The sender learns nothing.
	LoseReply
	// Hold keeps them until [Network.Release]. The sender learns nothing. This is how a paused writer's last words arrive late.
	Hold
)

// Watermarks is the topic by which a [Network] is asked about watermark records.
const Watermarks = ""

// Network is the network between one open log and its store. The zero value delivers everything. It is safe for concurrent use.
type Network struct {
	mu   sync.Mutex
	fate func(topic string) Fate
	held []func() error
}

// Set decides the fate of records from now on, by topic (of the seam; [Watermarks] for watermark records). Nil delivers everything.
func (n *Network) Set(fate func(topic string) Fate) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fate = fate
}

// SetAll gives everything one fate.
func (n *Network) SetAll(fate Fate) { n.Set(func(string) Fate { return fate }) }

// Fate is asked by the implementation of a [Store] before each attempt to send records of a topic.
func (n *Network) Fate(topic string) Fate {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fate == nil {
		return Deliver
	}
	return n.fate(topic)
}

// Keep takes what was held: deliver sends it after all and returns the store's answer, an error that wraps
// [eventstore.ErrFenced] when it refused an old writer.
func (n *Network) Keep(deliver func() error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = append(n.held, deliver)
}

// Release sends what was held, in order, and returns the store's answers.
func (n *Network) Release() []error {
	n.mu.Lock()
	held := n.held
	n.held = nil
	n.mu.Unlock()
	answers := make([]error, len(held))
	for i, deliver := range held {
		answers[i] = deliver()
	}
	return answers
}
