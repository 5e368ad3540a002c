package eventstore

import (
	"errors"
	"fmt"
	"time"
)

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

// Follows tells whether w may be written after last: neither csn nor position falls. A [Log] asks before it writes one.
func (w Watermark) Follows(last Watermark) error {
	if w.CSN < last.CSN {
		return fmt.Errorf("csn %d falls behind csn %d of the watermark before", w.CSN, last.CSN)
	}
	if w.Position.GTIDs == last.Position.GTIDs || last.Position.IsZero() {
		return nil
	}
	if w.Position.Flavor != last.Position.Flavor {
		return fmt.Errorf("position of flavor %q after one of flavor %q", w.Position.Flavor, last.Position.Flavor)
	}
	covers, err := w.Position.Covers(last.Position.GTIDs)
	if err != nil {
		return err
	}
	if !covers {
		return errors.New("the position lacks transactions of the watermark before")
	}
	return nil
}
