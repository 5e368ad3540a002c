package binlog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/klauspost/compress/zstd"
)

// builder makes raw events from lines of text, as a server would write them.
type builder struct {
	checksum bool
	inner    bool // events of a compressed transaction have neither checksum nor position
	offset   uint32
	columns  map[uint64][]string // types, by table id
}

func (b *builder) event(kind replication.EventType, flags uint16, body []byte) []byte {
	size := headerSize + len(body)
	if b.checksum && !b.inner {
		size += checksumSize
	}
	if !b.inner && flags&flagArtificial == 0 {
		b.offset += uint32(size)
	}
	raw := binary.LittleEndian.AppendUint32(nil, 1_700_000_000)
	raw = append(raw, byte(kind))
	raw = binary.LittleEndian.AppendUint32(raw, 1)
	raw = binary.LittleEndian.AppendUint32(raw, uint32(size))
	end := b.offset
	if b.inner || flags&flagArtificial != 0 {
		end = 0
	}
	raw = binary.LittleEndian.AppendUint32(raw, end)
	raw = binary.LittleEndian.AppendUint16(raw, flags)
	raw = append(raw, body...)
	if b.checksum && !b.inner {
		raw = binary.LittleEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	}
	return raw
}

// build makes the event that a line describes; see testdata for the notation. lines are those of a compressed transaction.
func (b *builder) build(line string, lines []string) ([]byte, error) {
	verb, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	switch verb {
	case "format":
		body := binary.LittleEndian.AppendUint16(nil, 4)
		body = append(body, make([]byte, 50+4)...)
		body = append(append(body, headerSize), make([]byte, 42)...)
		if b.checksum {
			return b.event(replication.FORMAT_DESCRIPTION_EVENT, 0, append(body, 1)), nil
		}
		return b.event(replication.FORMAT_DESCRIPTION_EVENT, 0, append(body, 0, 0, 0, 0, 0)), nil
	case "rotate": // rotate FILE OFFSET
		offset, err := strconv.ParseUint(args[1], 10, 64)
		b.offset = uint32(offset)
		return b.event(replication.ROTATE_EVENT, flagArtificial, append(binary.LittleEndian.AppendUint64(nil, offset), args[0]...)), err
	case "heartbeat": // heartbeat FILE OFFSET: the next event stands there
		offset, err := strconv.ParseUint(args[1], 10, 64)
		body := append([]byte{heartbeatFile, byte(len(args[0]))}, args[0]...)
		body = append(binary.LittleEndian.AppendUint64(append(body, heartbeatOffset, 9, 254), offset), heartbeatEnd)
		raw := b.event(replication.HEARTBEAT_LOG_EVENT_V2, 0, body)
		binary.LittleEndian.PutUint32(raw[13:], 0)
		b.offset = uint32(offset)
		return raw, err
	case "gtid": // gtid NUMBER
		n, err := strconv.ParseUint(args[0], 10, 64)
		body := append([]byte{0}, []byte("\x11\x11\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x55\x55\x55\x55")...)
		body = append(binary.LittleEndian.AppendUint64(body, n), 2)
		body = append(body, make([]byte, 16)...)
		return b.event(replication.GTID_EVENT, 0, append(body, 0x40, 0x82, 0xc5, 0x6d, 0x2f, 0x0a, 0x06)), err
	case "mariadb-gtid": // mariadb-gtid SEQUENCE FLAGS
		n, err := strconv.ParseUint(args[0], 10, 64)
		flags, err2 := strconv.ParseUint(args[1], 0, 8)
		if err2 != nil {
			return nil, err2
		}
		body := binary.LittleEndian.AppendUint64(nil, n)
		return b.event(replication.MARIADB_GTID_EVENT, 0, append(binary.LittleEndian.AppendUint32(body, 0), byte(flags), 0, 0, 0, 0, 0, 0)), err
	case "query":
		schema := "shop"
		body := append(make([]byte, 8), byte(len(schema)), 0, 0, 0, 0)
		body = append(append(body, schema...), 0)
		return b.event(replication.QUERY_EVENT, 0, append(body, rest...)), nil
	case "xid":
		return b.event(replication.XID_EVENT, 0, make([]byte, 8)), nil
	case "map":
		return b.tableMap(args)
	case "write", "update", "delete":
		return b.rows(verb, args)
	case "event": // event TYPE FLAGS HEX
		kind, err := strconv.ParseUint(args[0], 10, 8)
		flags, err2 := strconv.ParseUint(args[1], 0, 16)
		body, err3 := hex.DecodeString(strings.Join(args[2:], ""))
		if err != nil || err2 != nil || err3 != nil {
			return nil, errors.Join(err, err2, err3)
		}
		return b.event(replication.EventType(kind), uint16(flags), body), nil
	case "compressed":
		return b.payload(lines)
	}
	return nil, fmt.Errorf("unknown event %q", verb)
}

// payload makes a transaction payload event of the lines.
func (b *builder) payload(lines []string) ([]byte, error) {
	b.inner = true
	var plain []byte
	for _, line := range lines {
		raw, err := b.build(strings.TrimSpace(line), nil)
		if err != nil {
			return nil, err
		}
		plain = append(plain, raw...)
	}
	b.inner = false
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		return nil, err
	}
	packed := enc.EncodeAll(plain, nil)
	size := binary.LittleEndian.AppendUint16([]byte{252}, uint16(len(plain)))
	body := append([]byte{payloadCompression, 1, compressionZstd, payloadOriginal, 3}, size...)
	return b.event(replication.TRANSACTION_PAYLOAD_EVENT, 0, append(append(body, payloadEnd), packed...)), nil
}

// tableMap: map ID SCHEMA.TABLE NAME:TYPE… [key=NAME,NAME] [anonymous]; types int, uint, text, latin1, exotic (a character set that
// nobody knows), compressed.
func (b *builder) tableMap(args []string) ([]byte, error) {
	id, err := strconv.ParseUint(args[0], 10, 48)
	if err != nil {
		return nil, err
	}
	schema, table, _ := strings.Cut(args[1], ".")
	var types, meta, names, signs, charsets, key []byte
	var columns []string
	var anonymous bool
	var keyNames string
	for _, arg := range args[2:] {
		if arg == "anonymous" {
			anonymous = true
			continue
		}
		if rest, ok := strings.CutPrefix(arg, "key="); ok {
			keyNames = rest
			continue
		}
		name, kind, _ := strings.Cut(arg, ":")
		names = append(append(names, byte(len(name))), name...)
		columns = append(columns, kind)
		switch kind {
		case "int", "uint":
			types = append(types, typeLong)
			signs = append(signs, map[string]byte{"int": 0, "uint": 1}[kind])
		case "text", "latin1", "exotic":
			types = append(types, typeVarchar)
			meta = binary.LittleEndian.AppendUint16(meta, 400)
			charsets = append(charsets, map[string]byte{"text": 45, "latin1": 8, "exotic": 99}[kind])
		case "compressed":
			types, meta = append(types, typeMariaDBCompressedVarchar), append(meta, 100, 0)
			charsets = append(charsets, 45)
		default:
			return nil, fmt.Errorf("unknown type %q", kind)
		}
	}
	for name := range strings.SplitSeq(keyNames, ",") {
		for i, arg := range args[2:] {
			if n, _, _ := strings.Cut(arg, ":"); n == name && name != "" {
				key = append(key, byte(i))
			}
		}
	}
	if b.columns == nil {
		b.columns = map[uint64][]string{}
	}
	b.columns[id] = columns
	body := binary.LittleEndian.AppendUint64(nil, id)[:tableIDSize]
	body = append(body, 0, 0, byte(len(schema)))
	body = append(append(body, schema...), 0, byte(len(table)))
	body = append(append(body, table...), 0, byte(len(types)))
	body = append(append(body, types...), byte(len(meta)))
	body = append(append(body, meta...), make([]byte, (len(types)+7)/8)...)
	field := func(kind byte, value []byte) {
		if len(value) > 0 {
			body = append(append(body, kind, byte(len(value))), value...)
		}
	}
	var bits []byte
	for i, s := range signs {
		if i%8 == 0 {
			bits = append(bits, 0)
		}
		bits[i/8] |= s << (7 - i%8)
	}
	field(metaSignedness, bits)
	field(metaColumnCharset, charsets)
	if !anonymous {
		field(metaColumnName, names)
		field(metaPrimaryKey, key)
	}
	return b.event(replication.TABLE_MAP_EVENT, 0, body), nil
}

// rows: write ID [end] [partial] VALUE,VALUE …; an update has pairs of rows; a value is a number, a text, or NULL.
func (b *builder) rows(verb string, args []string) ([]byte, error) {
	id, err := strconv.ParseUint(args[0], 10, 48)
	if err != nil {
		return nil, err
	}
	columns := b.columns[id]
	body := binary.LittleEndian.AppendUint64(nil, id)[:tableIDSize]
	flags, bitmap := byte(0), byte(1<<len(columns)-1)
	args = args[1:]
	for len(args) > 0 && (args[0] == "end" || args[0] == "partial") {
		if args[0] == "end" {
			flags = rowsEndOfStatement
		} else {
			bitmap &^= 1
		}
		args = args[1:]
	}
	body = append(body, flags, 0, 2, 0, byte(len(columns)), bitmap)
	kind := replication.WRITE_ROWS_EVENTv2
	switch verb {
	case "update":
		kind = replication.UPDATE_ROWS_EVENTv2
		body = append(body, bitmap)
	case "delete":
		kind = replication.DELETE_ROWS_EVENTv2
	}
	for _, row := range args {
		values := strings.Split(row, ",")
		var nulls byte
		var data []byte
		for i, v := range values {
			if v == "NULL" {
				nulls |= 1 << i
				continue
			}
			switch columns[i] {
			case "int", "uint":
				n, err := strconv.ParseInt(v, 10, 64)
				if err != nil {
					return nil, err
				}
				data = binary.LittleEndian.AppendUint32(data, uint32(n))
			default:
				text := strings.NewReplacer("_", " ", "~", "\xe9").Replace(v)
				data = append(binary.LittleEndian.AppendUint16(data, uint16(len(text))), text...)
			}
		}
		body = append(append(body, nulls), data...)
	}
	return b.event(kind, 0, body), nil
}
