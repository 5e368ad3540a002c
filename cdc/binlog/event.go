package binlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/go-mysql-org/go-mysql/replication"
)

const (
	headerSize   = 19
	checksumSize = 4

	flagArtificial = 0x20 // made by the dump thread, not in the file
	flagIgnorable  = 0x80 // the server says: whoever does not know it may pass over it
)

// event is one binlog event, split but not decoded. Its bytes belong to whoever gave them.
type event struct {
	time   uint32 // seconds
	kind   replication.EventType
	server uint32
	size   uint32
	end    uint32 // offset of the next event in the file, modulo 2^32; 0 when the server did not say
	flags  uint16
	body   []byte // behind the header, without checksum; nil when it was spilled
	// spilled is the event's body in a file; nil for most.
	spilled *spilledEvent
}

// parseHeader reads the header, which is there.
func parseHeader(raw []byte) event {
	return event{
		time:   binary.LittleEndian.Uint32(raw),
		kind:   replication.EventType(raw[4]),
		server: binary.LittleEndian.Uint32(raw[5:]),
		size:   binary.LittleEndian.Uint32(raw[9:]),
		end:    binary.LittleEndian.Uint32(raw[13:]),
		flags:  binary.LittleEndian.Uint16(raw[17:]),
	}
}

// parseEvent splits raw. checksum says that the last four bytes are a CRC-32 of the rest; it is verified.
func parseEvent(raw []byte, checksum bool) (event, error) {
	if len(raw) < headerSize {
		return event{}, fmt.Errorf("event header: %w", errShort)
	}
	e := parseHeader(raw)
	if uint64(e.size) != uint64(len(raw)) {
		return event{}, fmt.Errorf("%s says that it has %d bytes, and has %d", e.name(), e.size, len(raw))
	}
	e.body = raw[headerSize:]
	if checksum {
		if len(e.body) < checksumSize {
			return event{}, fmt.Errorf("checksum of %s: %w", e.name(), errShort)
		}
		if !checksumOK(raw) {
			return event{}, fmt.Errorf("%s: %w", e.name(), errChecksum)
		}
		e.body = e.body[:len(e.body)-checksumSize]
	}
	return e, nil
}

var errChecksum = errors.New("checksum does not match: damaged in the binlog file or on its way here")

func checksumOK(raw []byte) bool {
	n := len(raw) - checksumSize
	return crc32.ChecksumIEEE(raw[:n]) == binary.LittleEndian.Uint32(raw[n:])
}

// name is the event's type for error texts.
func (e event) name() string {
	if name := e.kind.String(); name != "UnknownEvent" {
		return name
	}
	return fmt.Sprintf("event of unknown type %d", byte(e.kind))
}

// format is what a format description event says about the events behind it.
type format struct {
	checksum bool
	// postHeader holds the length of each event type's post-header, by type - 1. Only the table id's size depends on it.
	postHeader []byte
	// restarted says that the file is the first that the server began when it was started.
	restarted bool
}

// parseFormat reads a format description event from its raw bytes: it says itself whether it has a checksum.
func parseFormat(raw []byte) (format, error) {
	const (
		created = 2 + 50          // behind the binlog's and the server's version
		fixed   = created + 4 + 1 // the time of the server's start, or 0; header length
	)
	if len(raw) < headerSize+fixed+1+checksumSize {
		return format{}, fmt.Errorf("format description: %w", errShort)
	}
	body := raw[headerSize:]
	if version, header := binary.LittleEndian.Uint16(body), body[fixed-1]; version != 4 || header != headerSize {
		return format{}, fmt.Errorf("format description: binlog version %d with headers of %d bytes, want version 4 and 19", version, header)
	}
	algorithm := body[len(body)-checksumSize-1]
	f := format{checksum: algorithm == 1, postHeader: append([]byte(nil), body[fixed:len(body)-checksumSize-1]...),
		restarted: binary.LittleEndian.Uint32(body[created:]) != 0}
	if algorithm > 1 {
		return format{}, fmt.Errorf("format description: unknown checksum algorithm %d", algorithm)
	}
	if f.checksum && !checksumOK(raw) {
		return format{}, fmt.Errorf("format description: %w", errChecksum)
	}
	return f, nil
}

// tableIDSize is 6 since MySQL 5.1.4, which wrote no binlog that metadata names could come from.
const tableIDSize = 6
