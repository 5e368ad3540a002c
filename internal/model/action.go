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
		return who + fmt.Sprintf("takes up to %d slices into a flush", a.part)
	case appendRecord:
		return broker + "appends relay " + fmt.Sprint(a.relay) + "'s next batch to " + partitionName(int(a.part))
	case appendAgain:
		return broker + "appends relay " + fmt.Sprint(a.relay) + "'s last batch to " + partitionName(int(a.part)) + " again: the reply was lost"
	case appendListing:
		return broker + "appends relay " + fmt.Sprint(a.relay) + "'s listing of the topic of " + partitionName(int(a.part))
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
		return "    the operator kills relay " + fmt.Sprint(a.relay)
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
