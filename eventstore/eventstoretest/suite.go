package eventstoretest

import (
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// Harness is how an implementation offers itself to the suite.
type Harness struct {
	// New makes an empty log's store. It is called once each subtest.
	New func(t *testing.T) Store
	// MaxRecordBytes is the limit of the logs it makes: a key and value of more bytes are refused.
	MaxRecordBytes int
}

// Store is one log as several processes see it.
type Store interface {
	// Open returns a handle on the log, as a process of its own would have it. What the handle's writers send goes through
	// network; nil means undisturbed. The test's end releases the handle.
	Open(t *testing.T, network *Network) eventstore.Log
}

// TestLog tests that the harness's logs keep the contract of package eventstore.
func TestLog(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"begin on a new log", beginNew},
		{"append before the first watermark", appendBeforeWatermark},
		{"a log keeps its id", keepsID},
		{"watermarks never fall", watermarksNeverFall},
		{"a record too large is refused before anything is sent", recordTooLarge},
		{"a record out of order is refused before anything is sent", recordOutOfOrder},
		{"a closed writer", closedWriter},
		{"begin with an ended context", beginEndedContext},

		{"a fenced writer", fencedWriter},
		{"a fenced writer and a new topic", fencedWriterNewTopic},
		{"a writer that wakes up after the fence", zombie},
		{"a watermark that arrives after the fence", zombieWatermark},
		{"begin begins again", beginRepeated},

		{"death before the watermark", diesBeforeWatermark},
		{"death inside a flush", diesInsideFlush},
		{"a successor dies, too", successorDies},
		{"an append is repeated after an unknown outcome", repeatedAppend},
		{"a watermark is repeated after an unknown outcome", repeatedWatermark},
		{"death inside a huge transaction", diesInsideHuge},
		{"watermarks inside a tail", watermarkInsideTail},

		{"cuts are whole and ordered", cutsWhole},
		{"cuts resume at every csn", cutsResume},
		{"a huge transaction is one cut", hugeIsOneCut},
		{"empty cuts and heartbeats", emptyCuts},
		{"records come back as they were", recordsComeBack},
		{"chosen topics", chosenTopics},
		{"a topic that is created later", topicCreatedLater},
		{"bounded memory", boundedMemory},
		{"another log's id", otherLogID},
		{"a reader ahead of the log", readerAhead},
		{"unread records are passed over", unreadRecords},
		{"ends never fall", endsNeverFall},
		{"cancel while waiting", cancelWaiting},
		{"cancel inside a cut", cancelInsideCut},
		{"readers beside a writer", concurrentReaders},

		{"one of several leads", oneLeads},
		{"a dead leader is replaced", deadLeader},
		{"a former leader is fenced", formerLeader},
		{"cancel while another leads", cancelContending},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, &bench{Harness: h, store: h.New(t)})
		})
	}
}
