package exactlyonce

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is one thing that is done to a relay, a server or the network between them. The same seed gives the same faults in the same order.
type fault struct {
	kind string
	step string // of a relay, where it happens
	node int    // of Kafka
	// share decides about moments, from 0 to 1: of a flush, of a pause.
	share float64
	// over: the other relay takes over while the first one is paused, not after it is dead.
	over bool
	// toxic is what is wrong with a network meanwhile; empty for nothing.
	toxic toxic
}

// String is the fault's line.
func (f fault) String() string {
	text := f.kind
	if f.step != "" {
		text += " at step " + f.step
	}
	switch f.kind {
	case killNode, stopNode, pauseNode, fillNode, killTwoNodes:
		text += fmt.Sprintf(" %d", f.node+1)
	}
	if f.over {
		text += ", the other one takes over meanwhile"
	}
	if f.toxic.kind != "" {
		text += ", with " + f.toxic.String()
	}
	return text
}

// The kinds of faults. Those in the first group count as kills of a relay.
const (
	killRelay     = "kill relay"            // at any moment of a flush
	killAtStep    = "kill relay"            // where a step says so
	killStarting  = "kill starting relay"   // at a step of its start
	zombie        = "wake up fenced relay"  // it slept at a step while another one took over
	zombieWindow  = "wake up old relay"     // while the new one has begun, and written nothing yet
	lateDelivery  = "deliver requests late" // of a relay that is dead, while the new one has begun
	usurp         = "run two relays"        // the second begins while the first is writing
	takeover      = "kill and stop leader"  // a standby takes over by itself
	pauseRelay    = "stop relay"            // SIGSTOP, SIGCONT
	lostReplies   = "lose replies"          // after the append
	killNode      = "kill broker"
	stopNode      = "shut down broker"
	pauseNode     = "stop broker"
	fillNode      = "fill the disk of broker"
	killTwoNodes  = "kill two brokers from"
	killDatabase  = "kill database"
	stopDatabase  = "shut down database"
	pauseDatabase = "stop database"
	network       = "spoil network"
)

// toxic is what is wrong with a network.
type toxic struct {
	kind   string
	where  string // which network
	amount int    // milliseconds, or kilobytes a second
}

const (
	latency   = "latency"
	bandwidth = "bandwidth"
	cut       = "cut"
	halfOpen  = "half-open connections"
	refused   = "refused connections"
	cutAfter  = "cuts inside replies"

	toKafka    = "to kafka"
	toDatabase = "to the database"
	amongNodes = "among the brokers"
)

func (t toxic) String() string {
	switch t.kind {
	case latency:
		return fmt.Sprintf("%d ms latency %s", t.amount, t.where)
	case bandwidth:
		return fmt.Sprintf("%d kB/s %s", t.amount, t.where)
	case halfOpen, refused:
		return fmt.Sprintf("%s %s for %d ms", t.kind, t.where, t.amount)
	}
	return fmt.Sprintf("%s %s", t.kind, t.where)
}

// probes are the faults that every run begins with. Each is made for one of the protocol's safeguards: without it, they show.
func probes() []fault {
	markers := toxic{latency, amongNodes, 700} // the fence's markers are on their way for so long
	return []fault{
		{kind: lostReplies},                                          // idempotence
		{kind: killAtStep, step: "18 data after"},                    // the tail read
		{kind: killAtStep, step: "20 watermark before"},              // the watermark's place behind the data
		{kind: zombieWindow, step: "18 data before"},                 // the fence
		{kind: zombieWindow, step: "18 data before", toxic: markers}, // its second OK
	}
}

// plan makes the faults of a run: so many kills of relays, and half as many of everything else.
func plan(seed uint64, kills int) []fault {
	rnd := rand.New(rand.NewPCG(seed, 1<<32))
	one := func(list []string) string { return list[rnd.IntN(len(list))] }
	steps := shuffled(rnd, both(append([]string{tailStep}, append(runSteps, topicSteps...)...)))
	starts := both(startSteps)
	half := len(starts) / 2 // of them in a run of fifty kills: the next seed has the others
	starts = slices.Concat(starts[int(seed%2)*half:], starts[:int(seed%2)*half])
	next := func(list []string, n *int) string { *n++; return list[(*n-1)%len(list)] }
	faults := probes()
	var nStep, nStart int
	var rest []fault
	for n := len(faults); n < kills; n++ {
		f := fault{share: rnd.Float64(), over: rnd.IntN(3) == 0}
		switch n % 10 {
		case 0, 1:
			f.kind = killRelay
		case 2, 3, 4:
			f.kind, f.step = killAtStep, next(steps, &nStep)
		case 5, 6:
			f.kind, f.step = killStarting, next(starts, &nStart)
		case 7:
			f.kind, f.step = zombie, one(both(append(runSteps, topicSteps...)))
		case 8:
			f.kind = lateDelivery
			if rnd.IntN(2) == 0 {
				f.kind, f.step = zombieWindow, one([]string{"18 data before", "20 watermark before"})
			}
		case 9:
			f.kind = usurp
			if n%20 == 19 {
				f.kind = takeover
			}
		}
		if f.kind != killRelay && f.kind != killStarting {
			f.over = false
		}
		if rnd.IntN(4) == 0 && f.kind != takeover { // its time is measured
			f.toxic = mild(rnd)
		}
		rest = append(rest, f)
	}
	for n := range (kills + 1) / 2 {
		f := fault{node: rnd.IntN(3), share: rnd.Float64(), over: rnd.IntN(2) == 0}
		switch n % 12 {
		case 0:
			f.kind = killNode
		case 6:
			f.kind = fillNode
		case 1:
			f.kind = pauseNode
		case 2:
			f.kind = killDatabase
		case 3, 9:
			f.kind = network
			f.toxic = harsh(rnd)
		case 4, 8:
			f.kind = pauseRelay
		case 5:
			f.kind = lostReplies
		case 7:
			f.kind = pauseDatabase
		case 10:
			f.kind = stopNode
			if rnd.IntN(2) == 0 {
				f.kind = killTwoNodes
			}
		case 11:
			f.kind = stopDatabase
		}
		if f.kind != pauseRelay {
			f.over = false
		}
		rest = append(rest, f)
	}
	rnd.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return append(faults, rest...)
}

func shuffled(rnd *rand.Rand, list []string) []string {
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// mild makes everything slower.
func mild(rnd *rand.Rand) toxic {
	t := toxic{kind: latency, amount: 5 + rnd.IntN(60), where: []string{toKafka, toDatabase, amongNodes}[rnd.IntN(3)]}
	if rnd.IntN(3) == 0 {
		t = toxic{kind: bandwidth, amount: 200 + rnd.IntN(800), where: []string{toKafka, toDatabase}[rnd.IntN(2)]}
	}
	return t
}

// harsh makes something stand still for a while.
func harsh(rnd *rand.Rand) toxic {
	t := toxic{kind: []string{cut, halfOpen, refused, cutAfter}[rnd.IntN(4)], where: []string{toKafka, toDatabase}[rnd.IntN(2)], amount: 200 + rnd.IntN(3000)}
	if t.kind == halfOpen && rnd.IntN(3) == 0 {
		t.where = amongNodes
	}
	return t
}

// isKill tells whether a fault takes a relay out of the world, or out of office.
func (f fault) isKill() bool {
	switch f.kind {
	case killRelay, killStarting, zombie, zombieWindow, lateDelivery, usurp, takeover:
		return true
	}
	return false
}

// span is a share of some time, with a tenth at least.
func (f fault) span(d time.Duration) time.Duration {
	return d/10 + time.Duration(f.share*float64(d)*0.9)
}
