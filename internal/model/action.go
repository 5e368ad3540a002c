package model

import "fmt"

type kind uint8

const (
	initProducer kind = iota
	endTransaction
	writeMarker
	readMark
	readTail
	takeFlush
	appendRecord
	appendAgain
	appendListing
	appendMark
	expireID
	useUpEpochs
	expireEpochs
	dropMarks
	killRelay
	awaitLease
	keepAlive
	startReader
	crashReader
	recordProgress
	readCut
)

// action is a step from one state to the next.
type action struct {
	kind  kind
	relay uint8
	part  uint8
}

func (a action) String() string {
	who := fmt.Sprintf("relay %d ", a.relay)
	broker := "    broker: "
	switch a.kind {
	case initProducer:
		return who + "gets its producer id and epoch"
	case endTransaction:
		return who + "ends the fence's transaction, answered OK"
	case writeMarker:
		return broker + "writes the abort marker into " + partitionName(int(a.part))
	case readMark:
		return who + "reads the last watermark"
	case readTail:
		return who + "reads the tail of " + partitionName(int(a.part))
	case takeFlush:
		text := who
		if view := a.part >> 4; view > 0 {
			text += fmt.Sprintf("reads a chunk with %d transactions more than the stream has given, and ", view-1)
		}
		return text + fmt.Sprintf("takes %d slices into a flush", a.part&15)
	case appendRecord:
		return broker + "appends relay " + fmt.Sprint(a.relay) + "'s next batch to " + partitionName(int(a.part))
	case appendAgain:
		return broker + "appends relay " + fmt.Sprint(a.relay) + "'s last batch to " + partitionName(int(a.part)) + " again: the reply was lost"
	case appendListing:
		text := broker + "appends relay " + fmt.Sprint(a.relay) + "'s listing of"
		for p := range data {
			if a.part>>p&1 == 1 {
				text += " " + partitionName(p)
			}
		}
		return text
	case appendMark:
		return broker + "appends relay " + fmt.Sprint(a.relay) + "'s watermark"
	case expireID:
		return "    seven days pass, and the coordinator forgets the transactional id"
	case useUpEpochs:
		return "    starts that come to nothing use up the epochs"
	case expireEpochs:
		return "    a day passes, and the partitions forget the producers"
	case dropMarks:
		return broker + "drops the watermarks"
	case killRelay:
		return "    relay " + fmt.Sprint(a.relay) + " is killed"
	case awaitLease:
		return who + "waits until the lease of the last watermark's writer is over"
	case keepAlive:
		return who + "renews its lease: the transaction is ended, answered OK"
	case startReader:
		return fmt.Sprintf("        the reader starts at the watermark at offset %d", a.part)
	case crashReader:
		return "        the reader dies"
	case recordProgress:
		return "        the reader records its progress"
	case readCut:
		return fmt.Sprintf("        the reader reads the cut of the watermark at offset %d", a.part)
	}
	return "?"
}
