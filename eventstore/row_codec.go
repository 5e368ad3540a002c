package eventstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/millrace-go/millrace/internal/jsonscan"
)

// ErrTombstone is what [ParseRow] returns for a record without a value: the null that follows a delete. It says nothing the delete
// has not said, so readers pass over it.
var ErrTombstone = errors.New("tombstone record")

var errNilRecord = errors.New("parse a record: it is nil, or where it should go is")

// AppendRow appends r as the value of a log record to dst: Debezium's envelope without schemas, see docs/wire-format.md. The images
// are copied as they are. The bytes are a function of r alone, so a record written again by a successor is the same.
func AppendRow(dst []byte, r *RowChange) []byte {
	if r == nil {
		return append(dst, "null"...)
	}
	dst = appendImage(append(dst, `{"before":`...), r.Before)
	dst = appendImage(append(dst, `,"after":`...), r.After)
	if r.Absent != nil {
		dst = appendAbsent(dst, r)
	}
	dst = append(dst, `,"source":{"connector":`...)
	dst = appendText(dst, r.Connector)
	dst = append(dst, `,"ts_ms":`...)
	dst = strconv.AppendInt(dst, r.Time.UnixMilli(), 10)
	dst = append(dst, `,"ts_us":`...)
	dst = strconv.AppendInt(dst, r.Time.UnixMicro(), 10)
	dst = append(dst, `,"db":`...)
	dst = appendText(dst, r.Schema)
	dst = append(dst, `,"table":`...)
	dst = appendText(dst, r.Table)
	dst = append(dst, `,"gtid":`...)
	dst = appendText(dst, r.GTID)
	dst = append(dst, `,"csn":`...)
	dst = strconv.AppendUint(dst, uint64(r.CSN), 10)
	dst = append(dst, `,"index":`...)
	dst = strconv.AppendUint(dst, r.Index, 10)
	if r.Definition != "" {
		dst = append(dst, `,"definition":`...)
		dst = appendText(dst, r.Definition)
	}
	dst = append(dst, `},"op":"`...)
	dst = append(dst, r.Op)
	dst = append(dst, `","ts_ms":`...)
	dst = strconv.AppendInt(dst, r.Time.UnixMilli(), 10)
	return append(dst, '}')
}

// ParseRow reads rec, a record of a row topic, into r. Slices of r point into rec. A record without a value is [ErrTombstone]; other
// errors say what is missing, without row data.
func ParseRow(rec *Record, r *RowChange) error {
	if rec == nil || r == nil {
		return errNilRecord
	}
	*r = RowChange{Key: rec.Key, Place: rec.Place, Time: rec.Time}
	if rec.Value == nil {
		return ErrTombstone
	}
	var bad error
	err := jsonscan.Object(rec.Value, func(key, value []byte) bool {
		switch string(key) {
		case "before":
			r.Before = image(value)
		case "after":
			r.After = image(value)
		case "absent":
			r.Absent = new(Absent)
			if json.Unmarshal(value, r.Absent) != nil {
				bad = errors.New("absent is not two lists of columns")
			}
		case "op":
			if len(value) == 3 {
				r.Op = value[1]
			}
		case "source":
			bad = r.parseSource(value)
		}
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("row record csn %d index %d of topic %s: %w", rec.CSN, rec.Index, rec.Topic, err)
	}
	if r.Table == "" || !bytes.ContainsRune([]byte("cudrt"), rune(r.Op)) {
		return fmt.Errorf("row record csn %d index %d of topic %s: no table or no known op in the envelope", rec.CSN, rec.Index, rec.Topic)
	}
	return nil
}

func (r *RowChange) parseSource(source []byte) error {
	var bad error
	err := jsonscan.Object(source, func(key, value []byte) bool {
		switch string(key) {
		case "connector":
			r.Connector, bad = parseText(value)
		case "db":
			r.Schema, bad = parseText(value)
		case "table":
			r.Table, bad = parseText(value)
		case "gtid":
			r.GTID, bad = parseText(value)
		case "definition":
			r.Definition, bad = parseText(value)
		case "ts_us":
			us, err := strconv.ParseInt(string(value), 10, 64)
			r.Time, bad = time.UnixMicro(us), err
		}
		return bad == nil
	})
	return errors.Join(err, bad)
}

func image(value []byte) []byte {
	if string(value) == "null" {
		return nil
	}
	return value
}

func appendImage(dst, image []byte) []byte {
	if image == nil {
		return append(dst, "null"...)
	}
	return append(dst, image...)
}

// appendAbsent appends the columns that the images lack. A record can have one image of a change that had two.
func appendAbsent(dst []byte, r *RowChange) []byte {
	sep := `,"absent":{"`
	for _, list := range [...]struct {
		name    string
		image   []byte
		columns []string
	}{{"before", r.Before, r.Absent.Before}, {"after", r.After, r.Absent.After}} {
		if list.image == nil || len(list.columns) == 0 {
			continue
		}
		dst = append(append(append(dst, sep...), list.name...), `":`...)
		open := byte('[')
		for _, column := range list.columns {
			dst = appendText(append(dst, open), column)
			open = ','
		}
		dst = append(dst, ']')
		sep = `,"`
	}
	if sep == `,"` {
		dst = append(dst, '}')
	}
	return dst
}
