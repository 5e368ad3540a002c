package model

import "fmt"

// base is the ordinary database: T0 has rows in both partitions and one that is filtered out, T1 is filtered out as a whole, T2 and T3 have
// one row each.
var base = []Transaction{
	{Rows: []Row{{0, 0}, {1, 1}, {3, 0}}},
	{},
	{Rows: []Row{{0, 1}}},
	{Rows: []Row{{0, 0}}},
}

// brief is what is enough for much.
var brief = []Transaction{
	{Rows: []Row{{0, 0}, {1, 1}}},
	{Rows: []Row{{0, 0}}},
}

// widened is base with a filter that takes T1, rerouted with another partition for a row of T0.
var (
	widened  = []Transaction{base[0], {Rows: []Row{{0, 0}, {1, 1}}}, base[2], base[3]}
	rerouted = []Transaction{{Rows: []Row{{0, 0}, {1, 0}, {3, 0}}}, base[1], base[2], base[3]}
)

// xa has two XA transactions: x is prepared first and committed last, y and an ordinary one stand between; briefXA has x alone.
var (
	xa = []Transaction{
		{Rows: []Row{{0, 0}, {1, 1}}, Prepare: "x"},
		{Rows: []Row{{0, 1}}, Prepare: "y"},
		{Rows: []Row{{0, 0}}},
		{Commit: "y"},
		{Commit: "x"},
	}
	briefXA = []Transaction{
		{Rows: []Row{{0, 0}, {1, 1}}, Prepare: "x"},
		{Commit: "x"},
	}
)

var (
	inOrder  = []int{0, 1, 2, 3}
	swapped  = []int{2, 0, 1, 3}
	reversed = []int{3, 2, 1, 0}
	xaOrder  = []int{0, 1, 2, 3, 4}
	xaOther  = []int{1, 2, 0, 3, 4}
)

// Why relays halt.
const (
	behind      = "the log holds commits that this server does not have"
	otherConfig = "the log's unfinished end was written with another configuration"
	unmarked    = "data without a watermark"
)

// maxStates is from which number of states on a run counts as too large.
const maxStates = 12_000_000

// newRun is two relays over one server and one topic, but for the changes.
func newRun(name string, step Step, changes ...func(*Run)) Run {
	r := Run{Name: name, Without: step, Transactions: base, Orders: [][]int{inOrder}, Relays: 2, MaxTake: 3, FlushBytes: 1 << 20, Topics: 1}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func relays(n int) func(*Run)              { return func(r *Run) { r.Relays = n } }
func takes(n int) func(*Run)               { return func(r *Run) { r.MaxTake = n } }
func slicesOf(rows int) func(*Run)         { return func(r *Run) { r.SliceRows = rows } }
func orders(list ...[]int) func(*Run)      { return func(r *Run) { r.Orders = list } }
func changed(all []Transaction) func(*Run) { return func(r *Run) { r.Changed = all } }
func leases(list ...uint8) func(*Run)      { return func(r *Run) { r.Leases = list } }
func mayHalt(why string) func(*Run)        { return func(r *Run) { r.MayHalt = why } }
func events(e event) func(*Run)            { return func(r *Run) { r.Events = e } }
func of(all []Transaction, list ...[]int) func(*Run) {
	return func(r *Run) { r.Transactions, r.Orders = all, list }
}

// smallFlushes has a flush end at each record. A tail is finished in several then.
func smallFlushes(r *Run) { r.FlushBytes = 1 }

// chunks has old rows in the tables, and views of chunks up to one transaction ahead of the stream.
func chunks(r *Run) { r.OldRows, r.Views = true, 2 }

func twoTopics(r *Run) { r.Topics = 2 }
func killed(r *Run)    { r.Kills = true }
func read(r *Run)      { r.Reader = true }

// short is the brief database.
func short(r *Run) { r.Transactions, r.Orders = brief, [][]int{{0, 1}} }

// Good returns the runs of the protocol as it is, which must hold: all of them, or those that take seconds.
func Good(all bool) []Run {
	add := func(name string, changes ...func(*Run)) Run { return newRun(name, "", changes...) }
	runs := []Run{
		add("one server"),
		add("one server, a topic for each partition", twoTopics),
		add("one server, transactions in slices", slicesOf(1)),
		add("failover to another order", orders(inOrder, swapped)),
		add("failover to the reversed order", orders(inOrder, reversed), takes(4)),
		add("the second server has a transaction that the first lacks", orders([]int{0, 2, 3}, inOrder)),
		add("the second server lacks T2: halts where the log holds it", orders(inOrder, []int{0, 1, 3}), mayHalt(behind)),
		add("another filter: halts at a tail", changed(widened), mayHalt(otherConfig)),
		add("another routing: halts at a tail", changed(rerouted), mayHalt(otherConfig)),
		add("three relays, tails in several flushes", short, slicesOf(1), smallFlushes, relays(3)),
		add("XA over a restart", of(xa, xaOrder)),
		add("XA over a failover to another order", of(xa, xaOrder, xaOther)),
		add("chunks", short, chunks, takes(2)),
		add("a reader", short, read),
		add("the transactional id expires", short, relays(3), events(idExpired)),
		add("the epochs are used up: waits for the lease", short, takes(1), relays(3), events(epochsUsedUp)),
		add("the epochs are used up, leases of two lengths", short, takes(1), relays(3), events(epochsUsedUp), leases(1, 2, 1)),
		add("keep-alive", short, takes(2), events(keptAlive)),
		add("the partitions forget the producers", events(epochsExpired)),
		add("the watermarks are dropped while nobody writes: halts", events(marksDropped), killed, mayHalt(unmarked)),
	}
	if !all {
		return runs
	}
	runs = append(runs,
		add("three relays", relays(3)),
		add("three relays, a topic for each partition", relays(3), twoTopics),
		add("three relays, transactions in slices", relays(3), slicesOf(1)),
		add("three relays, failover and back", relays(3), orders(inOrder, swapped, inOrder)),
		add("three relays, failover through three orders", relays(3), orders(inOrder, reversed, swapped), takes(4)),
		add("three relays, another filter", relays(3), changed(widened), mayHalt(otherConfig)),
		add("three relays, XA", relays(3), of(xa, xaOrder)),
		add("three relays, XA, failover and back", relays(3), of(xa, xaOrder, xaOther, xaOrder)),
		add("chunks of two tables", short, twoTopics, chunks, takes(1)),
		add("chunks between four transactions", chunks, takes(2)),
		add("chunks, views two transactions ahead", short, chunks, takes(2), func(r *Run) { r.Views = 3 }),
		add("chunks, transactions in slices", short, chunks, slicesOf(1)),
		add("chunks, small flushes", short, chunks, slicesOf(1), smallFlushes),
		add("chunks, failover to another order", chunks, takes(2), orders(inOrder, []int{0, 1, 3, 2})),
		add("chunks, XA over a restart", chunks, of(briefXA, []int{0, 1}), takes(2)),
		add("chunks, three relays", short, chunks, relays(3), takes(1)),
		add("chunks, a reader", short, chunks, read, takes(1)),
		add("a reader of four transactions", read),
		add("a reader, a topic for each partition", read, twoTopics),
		add("a reader, transactions in slices", read, slicesOf(1)),
		add("a reader, failover to another order", read, orders(inOrder, swapped)),
		add("a reader, XA and a failover", read, of(xa, xaOrder, xaOther)),
		add("three relays, a reader", short, relays(3), read, takes(2)),
		add("the transactional id expires, four transactions", relays(3), events(idExpired)),
		add("the epochs are used up, four transactions", relays(3), events(epochsUsedUp), takes(2)),
		add("the epochs are used up, a shorter lease between two long ones", short, relays(3), events(epochsUsedUp), leases(2, 1, 2), takes(1)),
		add("keep-alive, three relays", short, relays(3), events(keptAlive)),
		add("keep-alive, four transactions and a reader", read, events(keptAlive), takes(1)),
		add("everything expires", short, relays(3), events(idExpired|epochsUsedUp|epochsExpired|keptAlive), takes(1)),
	)
	for _, order := range permutations(len(base)) {
		runs = append(runs, add(fmt.Sprintf("failover to order %v, transactions in slices", order), orders(inOrder, order), slicesOf(2), takes(4)))
	}
	return runs
}

// Broken returns the runs with one step taken out, which must break.
func Broken() []Run {
	without := func(step Step, changes ...func(*Run)) Run { return newRun("without "+string(step), step, changes...) }
	return []Run{
		without(OpenPrepares, of(xa, xaOrder)),
		without(MarksKept, events(marksDropped)),
		without(MarkFence),
		without(SecondOK),
		without(FenceBeforeMark),
		without(DataCheck, events(marksDropped), killed),
		without(ForeignProducer, events(epochsUsedUp)),
		without(ForeignFence, events(epochsUsedUp)),
		without(FenceAgain, events(epochsUsedUp)),
		without(NewerEpoch, of(briefXA, []int{0, 1}), relays(3)),
		without(DataFence),
		without(FenceBeforeTail),
		without(SourceCheck, orders(inOrder, []int{0, 1, 3})),
		without(Stamp, orders(inOrder, swapped)),
		without(TailStamp, short, relays(3)),
		without(Landed),
		without(ConfigCheck, changed(widened), takes(4)),
		without(ConfigCheck, changed(rerouted), takes(4)),
		without(ChunkIDs, short, chunks, takes(2)),
		without(ChunkNumbers, short, chunks, takes(2)),
		without(ChunkPlace, short, chunks, takes(2)),
		without(Listing, twoTopics),
		without(OwnListing, twoTopics),
		without(Lease, events(idExpired)),
		without(Lease, events(epochsUsedUp)),
		without(Lease, events(epochsExpired)),
		without(StatedLease, relays(3), events(epochsUsedUp), leases(1, 2, 1)),
		without(Idempotence, relays(1)),
		without(CompleteTransactions, slicesOf(1)),
		without(AllAcknowledged, relays(1)),
		without(TailEnds),
		without(OldStart, short, read),
		without(DropRead, short, read),
		without(Ends, short, read),
		without(EmptyFetch, short, read),
		without(ProgressBehind, short, read),
		without(Merge, short, read),
	}
}

func permutations(n int) (all [][]int) {
	var extend func(begun []int)
	extend = func(begun []int) {
		if len(begun) == n {
			all = append(all, append([]int(nil), begun...))
		}
		for i := range n {
			used := false
			for _, j := range begun {
				used = used || i == j
			}
			if !used {
				extend(append(begun, i))
			}
		}
	}
	extend(nil)
	return all
}
