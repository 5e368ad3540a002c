package projector

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

func TestPassedHeader(t *testing.T) {
	at := func(file string, offset uint64) binlogPosition {
		p, err := parseBinlogPosition(file, offset)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	header := []binlogEvent{{kind: "Format_desc", offset: 4}, {kind: "Gtid_list", offset: 256}}
	checkpoint := func(file string) binlogEvent { return binlogEvent{kind: "Binlog_checkpoint", offset: 299, info: file} }
	gtid := binlogEvent{kind: "Gtid", offset: 342}
	for _, c := range []struct {
		name   string
		events []binlogEvent
		at     binlogPosition
		want   bool
	}{
		{"a new file without anything", header, at("b.000010", 342), false},
		{"older files have commits to do", append(header, checkpoint("b.000008")), at("b.000010", 342), false},
		{"the watermark's file has commits to do", append(header, checkpoint("b.000009")), at("b.000010", 342), false},
		{"a commit stands behind the position", append(header, checkpoint("b.000009"), gtid), at("b.000010", 342), false},
		{"a commit stands before the position", append(header, checkpoint("b.000009"), gtid), at("b.000010", 500), true},
		{"every commit of older files is done", append(header, checkpoint("b.000009"), checkpoint("b.000010")), at("b.000010", 342), true},
		{"the file after the watermark's is needed, its own not", append(header, checkpoint("b.000010")), at("b.000011", 342), true},
	} {
		if got := passedHeader(c.events, c.at, at("b.000009", 1000)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestReachedInOneFile(t *testing.T) {
	for _, c := range []struct {
		file   string
		offset uint64
		want   bool
	}{
		{"b.000009", 999, false},
		{"b.000009", 1000, true},
		{"b.000009", 1001, true},
		{"b.000008", 5000, false},
	} {
		at, err := parseBinlogPosition(c.file, c.offset)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reached(t.Context(), nil, at, binlogPosition{"b.000009", 9, 1000}); err != nil || got != c.want {
			t.Errorf("%v: got %v, %v, want %v", at, got, err, c.want)
		}
	}
	// Files are ordered by number: the millionth has one digit more.
	if p, err := parseBinlogPosition("mysql-bin.1000000", 4); err != nil || p.number != 1_000_000 {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := parseBinlogPosition("", 0); err == nil {
		t.Error("no file: no error")
	}
}

// textError is an error as the driver words it: the core does not import the driver.
type textError string

func (e textError) Error() string { return string(e) }

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err    error
		passes bool
	}{
		{textError("Error 1146 (42S02): Table 'shop.missing' doesn't exist"), false},
		{textError("Error 1064 (42000): You have an error in your SQL syntax"), false},
		{textError("Error 1142 (42000): SELECT command denied"), false},
		{textError("Error 1045 (28000): Access denied"), false},
		{textError("Error 1213 (40001): Deadlock found when trying to get lock"), true},
		{textError("Error 1205 (HY000): Lock wait timeout exceeded"), true},
		{textError("Error 1040 (08004): Too many connections"), true},
		{textError("Error 1317 (70100): Query execution was interrupted"), true},
		{driver.ErrBadConn, true},
		{sql.ErrConnDone, true},
		{io.ErrUnexpectedEOF, true},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		{context.DeadlineExceeded, true},
		{errors.New("boom"), false},
		{&PanicError{Value: io.EOF}, false},
		{fmt.Errorf("replica: %w", ErrUnavailable), true},
	} {
		got := classify(t.Context(), nil, fmt.Errorf("load: %w", c.err))
		if errors.Is(got, ErrUnavailable) != c.passes || !errors.Is(got, c.err) {
			t.Errorf("%v: got %v, want one that passes: %v", c.err, got, c.passes)
		}
	}
	if classify(t.Context(), nil, nil) != nil {
		t.Error("no error became one")
	}
}
