package model

import "encoding/binary"

const (
	maxRelays    = 3
	maxProducers = 4  // ids, from 1
	maxLog       = 24 // entries of a partition
)

// state is everything that the explored processes and the broker know. Successors are made from copies.
type state struct {
	// the coordinator's: the newest producer id and epoch, and the partitions whose abort markers are still to be written
	producer  producer
	pending   uint8
	pendingOf producer
	events    event
	repeated  uint8 // batches that were appended a second time
	cut       uint8 // watermark entries that the broker has dropped
	part      [parts]partition
	relay     [maxRelays]relay
	reader    reader
}

// producer is a producer id with an epoch. Ids count from 1, epochs too.
type producer struct{ id, epoch uint8 }

// event is what happens once in a run, as bits.
type event uint8

const (
	idExpired     event = 1 << iota // the transactional id is forgotten
	epochsUsedUp                    // by starts that came to nothing
	epochsExpired                   // partitions forget the producers
	marksDropped                    // the watermark topic loses its first records
	keptAlive                       // a relay renews its lease
)

// partition is one of the log's.
type partition struct {
	n     uint8
	epoch [maxProducers]uint8 // the highest seen of each producer id
	log   [maxLog]entry
}

// entry is a record, a watermark or a control batch.
type entry struct {
	what  uint16 // of world.records or world.marks, 0 for a marker
	stamp uint16 // of world.stamps; of a marker its producer id
	relay uint8
}

func (p *partition) add(e entry) {
	if int(p.n) == maxLog {
		panic("model: maxLog is too small")
	}
	p.log[p.n] = e
	p.n++
}

type phase uint8

const (
	waiting     phase = iota // not started
	begun                    // has its epoch (5)
	fencedMarks              // has ended the transaction over the watermark partition (6)
	awaiting                 // waits for the lease of W's writer, whom its fence does not reach (8)
	foundMark                // has read W (7, 8)
	fencedData               // has ended the transaction over the listed partitions (9)
	reading                  // its tail is read partition by partition (10)
	running                  // writes its script
	stopped                  // a newer relay exists
	halted                   // something is wrong, and it says so
	over                     // its lease is over, or somebody has killed it
)

// relay is one life of a relay.
type relay struct {
	phase    phase
	producer producer
	waited   uint8       // for how long it has waited for the lease of another producer id
	mark     uint8       // W: its place in the watermark partition, from 1; 0 when there is none
	tail     [data]uint8 // ends of the tails that it has read
	read     uint8       // the partitions whose tails are read
	listed   uint8       // the partitions that it knows as the log's own
	script   uint32
	op       uint8       // of the script
	landed   [data]uint8 // records of the op that are there
}

func (r *relay) alive() bool { return r.phase > waiting && r.phase <= running }

// key returns the state as bytes, equal for equal states only.
func (s *state) key(b []byte) []byte {
	b = append(b, s.producer.id, s.producer.epoch, s.pending, s.pendingOf.id, s.pendingOf.epoch, uint8(s.events), s.cut, s.repeated)
	for i := range s.part {
		p := &s.part[i]
		b = append(append(b, p.n), p.epoch[:]...)
		for _, e := range p.log[:p.n] {
			b = binary.LittleEndian.AppendUint16(b, e.what)
			b = binary.LittleEndian.AppendUint16(b, e.stamp)
			b = append(b, e.relay)
		}
	}
	for i := range s.relay {
		r := &s.relay[i]
		b = append(b, uint8(r.phase), r.producer.id, r.producer.epoch, r.waited, r.mark, r.read, r.listed, r.op)
		b = append(append(b, r.tail[:]...), r.landed[:]...)
		b = binary.LittleEndian.AppendUint32(b, r.script)
	}
	return s.reader.key(b)
}
