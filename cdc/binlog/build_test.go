package binlog

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
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
	payloads string              // directory for compressed transactions; empty: they stay in memory
	ended    xaEnd               // the first end of XA transactions that are not prepared
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
	case "format": // format [restarted]
		body := binary.LittleEndian.AppendUint16(nil, 4)
		body = append(body, make([]byte, 50)...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(args)))
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
	case "xa-prepare": // xa-prepare GLOBAL BRANCH FORMAT [one-phase]; - is the empty text
		args[0], args[1] = strings.Trim(args[0], "-"), strings.Trim(args[1], "-")
		format, err := strconv.ParseUint(args[2], 10, 32)
		body := binary.LittleEndian.AppendUint32([]byte{byte(len(args) - 3)}, uint32(format))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(args[0])))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(args[1])))
		return b.event(replication.XA_PREPARE_LOG_EVENT, 0, append(append(body, args[0]...), args[1]...)), err
	case "map":
		return b.tableMap(args)
	case "write", "update", "delete", "diffs":
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
// nobody knows), compressed, json.
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
		case "json":
			types, meta = append(types, typeJSON), append(meta, 4)
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

// rows: write ID [end] [partial] [columns=0,2[/0,1,2]] VALUE,VALUE …; an update has pairs of rows; a value is a number, a text, or NULL.
// partial leaves the first column out, columns names those that the images have, before and after an update. A JSON document has
// semicolons for commas. diffs is an update in which a JSON value can be @DIFF|DIFF…: replace:PATH:VALUE, insert:PATH:VALUE, remove:PATH.
func (b *builder) rows(verb string, args []string) ([]byte, error) {
	id, err := strconv.ParseUint(args[0], 10, 48)
	if err != nil {
		return nil, err
	}
	columns := b.columns[id]
	body := binary.LittleEndian.AppendUint64(nil, id)[:tableIDSize]
	flags, before := byte(0), byte(1<<len(columns)-1)
	after := before
	rows := args[1:]
	for ; len(rows) > 0; rows = rows[1:] {
		list, chosen := strings.CutPrefix(rows[0], "columns=")
		switch {
		case rows[0] == "end":
			flags = rowsEndOfStatement
		case rows[0] == "partial":
			before &^= 1
			after = before
		case chosen:
			first, second, two := strings.Cut(list, "/")
			if before, err = bitmap(first); err == nil && two {
				after, err = bitmap(second)
			} else {
				after = before
			}
			if err != nil {
				return nil, err
			}
		}
		if rows[0] != "end" && rows[0] != "partial" && !chosen {
			break
		}
	}
	body = append(body, flags, 0, 2, 0, byte(len(columns)), before)
	kind := replication.WRITE_ROWS_EVENTv2
	switch verb {
	case "update":
		kind = replication.UPDATE_ROWS_EVENTv2
	case "diffs":
		kind = replication.PARTIAL_UPDATE_ROWS_EVENT
	case "delete":
		kind = replication.DELETE_ROWS_EVENTv2
	}
	if verb == "update" || verb == "diffs" {
		body = append(body, after)
	}
	for i, row := range rows {
		present := before
		if i%2 == 1 {
			present = after
		}
		image, diffs, err := b.image(columns, present, row)
		if err != nil {
			return nil, err
		}
		if verb == "diffs" && i%2 == 1 {
			body = append(body, partialJSON, diffs)
		}
		body = append(body, image...)
	}
	return b.event(kind, 0, body), nil
}

func bitmap(list string) (byte, error) {
	var bits byte
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(text, 10, 3)
		if err != nil {
			return 0, err
		}
		bits |= 1 << n
	}
	return bits, nil
}

// image makes a row's image, and the bits of its JSON columns that are diffs.
func (b *builder) image(columns []string, present byte, row string) (image []byte, diffs byte, err error) {
	var nulls byte
	var data []byte
	at, doc := 0, 0
	values := strings.Split(row, ",")
	for i, column := range columns {
		if present&(1<<i) != 0 && at < len(values) {
			v := values[at]
			switch {
			case v == "NULL":
				nulls |= 1 << at
			case column == "int" || column == "uint":
				n, err := strconv.ParseInt(v, 10, 64)
				if err != nil {
					return nil, 0, err
				}
				data = binary.LittleEndian.AppendUint32(data, uint32(n))
			case column == "json":
				value, isDiff, err := documentOrDiffs(v)
				if err != nil {
					return nil, 0, err
				}
				if isDiff {
					diffs |= 1 << doc
				}
				data = append(binary.LittleEndian.AppendUint32(data, uint32(len(value))), value...)
			default:
				text := strings.NewReplacer("_", " ", "~", "\xe9").Replace(v)
				data = append(binary.LittleEndian.AppendUint16(data, uint16(len(text))), text...)
			}
			at++
		}
		if column == "json" {
			doc++
		}
	}
	return append([]byte{nulls}, data...), diffs, nil
}

func documentOrDiffs(text string) (value []byte, diffs bool, err error) {
	text = strings.ReplaceAll(text, ";", ",")
	list, diffs := strings.CutPrefix(text, "@")
	if !diffs {
		value, err = jsonBinary(text)
		return value, false, err
	}
	for diff := range strings.SplitSeq(list, "|") {
		if diff == "" {
			continue
		}
		parts := strings.SplitN(diff, ":", 3)
		path := parts[1]
		value = append(value, map[string]byte{"replace": jsonReplace, "insert": jsonInsert, "remove": jsonRemove, "unknown": 3}[parts[0]], byte(len(path)))
		value = append(value, path...)
		if len(parts) == 3 {
			doc, err := jsonBinary(parts[2])
			if err != nil {
				return nil, true, err
			}
			value = append(append(value, byte(len(doc))), doc...)
		}
	}
	return value, true, nil
}

// jsonBinary encodes a small document of objects, arrays, texts, small numbers and literals.
func jsonBinary(text string) ([]byte, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, err
	}
	kind, data := encodeJSON(v)
	return append([]byte{kind}, data...), nil
}

func encodeJSON(v any) (kind byte, data []byte) {
	var names []string
	var values []any
	object := false
	switch v := v.(type) {
	case nil:
		return jsonLiteral, []byte{0}
	case bool:
		if v {
			return jsonLiteral, []byte{1}
		}
		return jsonLiteral, []byte{2}
	case float64:
		return jsonInt16, binary.LittleEndian.AppendUint16(nil, uint16(int16(v)))
	case string:
		return jsonString, append([]byte{byte(len(v))}, v...)
	case map[string]any:
		object = true
		for name := range v {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int { return compareJSONKeys([]byte(a), []byte(b)) })
		for _, name := range names {
			values = append(values, v[name])
		}
	case []any:
		values = v
	}
	le := binary.LittleEndian.AppendUint16
	head, entries, tail := le(nil, uint16(len(values))), []byte(nil), []byte(nil)
	at := 4 + 3*len(values) + 4*len(names)
	for _, name := range names {
		head = le(head, uint16(at+len(tail)))
		head = le(head, uint16(len(name)))
		tail = append(tail, name...)
	}
	for _, value := range values {
		kind, data := encodeJSON(value)
		entries = append(entries, kind)
		if kind == jsonLiteral {
			data = append(data, 0)
		}
		if kind == jsonLiteral || kind == jsonInt16 {
			entries = append(entries, data...)
			continue
		}
		entries = le(entries, uint16(at+len(tail)))
		tail = append(tail, data...)
	}
	head = slices.Insert(head, 2, le(nil, uint16(at+len(tail)))...)
	kind = jsonSmallArray
	if object {
		kind = jsonSmallObject
	}
	return kind, append(append(head, entries...), tail...)
}
