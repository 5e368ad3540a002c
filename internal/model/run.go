package model

// Run is one exploration: what there is, and which step of the protocol is taken out.
type Run struct {
	Name    string
	Without Step // the step that is taken out; the run must break then

	Transactions []Transaction
	Changed      []Transaction // the same as a changed filter or routing has them, from the second relay on; nil for no change
	Orders       [][]int       // by relay: what its server has executed, in its commit order; the last one goes for all later relays
	Relays       int
	MaxTake      int // slices in a flush
	SliceRows    int
	FlushBytes   int     // of the relays: what a flush may grow to
	OldRows      bool    // the tables have rows that are older than the log, and are read in chunks
	Views        int     // how far the view of a chunk may be ahead of the stream, and 1 more
	Topics       int     // 1 or 2, see Server
	Events       event   // that may happen, once each
	Leases       []uint8 // by relay: how long it writes without a keep-alive; nil for one length
	Kills        bool    // relays may be killed, for everyone to know
	Reader       bool    // a consumer reads meanwhile, and restarts
	MayHalt      string  // the error that relays may halt with; any other breaks the run
}

// Step is a step of the protocol that can be taken out.
type Step string

// The steps, in the order of docs/decisions/0002-relay-protocol.md.
const (
	OpenPrepares         Step = "the open XA prepares of a position (3, 12)"
	MarksKept            Step = "the retention of watermarks (4)"
	DataCheck            Step = "the halt at data without a watermark (7)"
	MarkFence            Step = "the watermark partition's fence (6)"
	SecondOK             Step = "the second OK of the fence (6, 9)"
	FenceBeforeMark      Step = "the fence before W is read (6, 7)"
	ForeignProducer      Step = "the wait for the lease of another producer id (8)"
	ForeignFence         Step = "that wait on a log without a watermark (8)"
	FenceAgain           Step = "the fence and the reading once more behind that wait (8)"
	NewerEpoch           Step = "the stop at a newer epoch in W and the tails (8, 10)"
	DataFence            Step = "the fence of the listed partitions (9)"
	FenceBeforeTail      Step = "the fence before the tails are read (9, 10)"
	SourceCheck          Step = "the check that the server has what the log holds (11)"
	Stamp                Step = "the stamp: numbers are counted from W again (2, 13)"
	TailStamp            Step = "the predecessor's stamp in the flushes that finish its tail (2, 13)"
	Landed               Step = "leaving out what has landed (10, 13)"
	ConfigCheck          Step = "the halt at another configuration (13)"
	ChunkIDs             Step = "an id of its own for each chunk (2, 13)"
	ChunkNumbers         Step = "the number that a chunk in a tail uses up (13)"
	ChunkPlace           Step = "the place of a chunk behind that of its view (15)"
	Listing              Step = "the listing of a topic before its first record (16)"
	OwnListing           Step = "one's own listing: a topic is used that another relay has listed (16)"
	Lease                Step = "the lease (17)"
	StatedLease          Step = "the lease that is stated before it is relied on (17)"
	Idempotence          Step = "idempotence (1, 18)"
	CompleteTransactions Step = "watermarks at the ends of transactions only (19)"
	AllAcknowledged      Step = "all acknowledgements before the watermark (20)"
	TailEnds             Step = "the tail in the watermark's ends (20)"
	OldStart             Step = "the reader's start at or below its progress (22)"
	DropRead             Step = "the reader's dropping of what it has read before (22)"
	Ends                 Step = "the reader's stop at a watermark's ends (22)"
	EmptyFetch           Step = "the reader's asking again where a reply brings nothing (22)"
	ProgressBehind       Step = "the reader's progress behind its cut (22)"
	Merge                Step = "the reader's merge by place (23)"
)

func (r *Run) of(list [][]int, relay int) []int { return list[min(relay, len(list)-1)] }

// lease is a relay's.
func (r *Run) lease(relay int) uint8 {
	if r.Leases == nil {
		return firstLease
	}
	return r.Leases[relay]
}

func (r *Run) serverOf(relay int) *Server {
	s := &Server{Order: r.of(r.Orders, relay), Transactions: r.Transactions, Config: "c0", SliceRows: r.SliceRows, FlushBytes: r.FlushBytes, Life: relay, OldRows: r.OldRows, Topics: r.Topics}
	if relay > 0 && r.Changed != nil {
		s.Transactions = r.Changed
		if r.Without != ConfigCheck {
			s.Config = "c1"
		}
	}
	s.Forgets, s.Hurries = r.Without == OpenPrepares, r.Without == ChunkPlace
	if r.Without == ChunkIDs {
		s.Life = 0
	}
	return s
}
