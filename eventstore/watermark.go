package eventstore

import "time"

// Watermark says: the log is complete through CSN. It is the writer's checkpoint (Position), the list of the log's partitions
// (Ends) and the readers' clock at once; there is no second store that could disagree.
type Watermark struct {
	CSN CSN
	// Position is what the source had executed when the transaction CSN was committed, complete.
	Position Position
	// Time is when transaction CSN was committed, zero before the first.
	Time time.Time
	// LogID is random and made with the first watermark: two logs never share it. Set by the log.
	LogID string
	// Config is the id of the writer's configuration: see [Stamp].
	Config string
	// Ends is, for every listed partition, the offset after its last record with csn <= CSN. Set by the log. The map must
	// not be modified.
	Ends map[Partition]int64
}
