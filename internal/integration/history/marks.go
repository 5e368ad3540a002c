package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Mark is one record of the log's watermark topic.
type Mark struct {
	Offset int64
	CSN    uint64
	// Through is what its position covers, by the source of the numbers: a server's uuid (with the tag, if any), or a domain.
	Through map[string]uint64
	// Ends are the ends of all listed partitions, by topic without the pipeline.
	Ends map[string][]int64
}

// ReadMarks reads the watermark topic of a pipeline from its first record to its end. It expects that nothing is written meanwhile.
func ReadMarks(ctx context.Context, brokers []string, pipeline string) ([]Mark, error) {
	var marks []Mark
	full := int64(-1) // the offset of the last full one
	err := readTopics(ctx, brokers, func(topic string) bool { return topic == pipeline+".watermark" }, func(r *kgo.Record) error {
		var text mark
		if err := json.Unmarshal(r.Value, &text); err != nil {
			return err
		}
		m := Mark{Offset: r.Offset, CSN: text.CSN, Ends: text.Ends}
		switch {
		case text.Base == nil:
			full = r.Offset
		case *text.Base != full:
			return fmt.Errorf("it leans on offset %d, the last full watermark stands at %d", *text.Base, full)
		default:
			m.Ends = maps.Clone(marks[len(marks)-1].Ends)
			maps.Copy(m.Ends, text.Ends)
		}
		var err error
		m.Through, err = through(text.Position.Flavor, text.Position.GTIDs)
		marks = append(marks, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read watermarks: %w", err)
	}
	return marks, nil
}

// mark is a watermark's JSON.
type mark struct {
	CSN      uint64
	Position struct{ Flavor, GTIDs string }
	Ends     map[string][]int64
	Base     *int64
}

// through reads a set of GTIDs without holes: uuid:1-7,uuid:tag:1-3 or 0-1-7,1-1-3.
func through(flavor, gtids string) (map[string]uint64, error) {
	out := map[string]uint64{}
	for one := range strings.SplitSeq(gtids, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		source, number := sourceOf(one)
		if flavor == "mysql" {
			first, last, isRange := strings.Cut(number, "-")
			if first != "1" {
				return nil, fmt.Errorf("the position of %s begins at %s, want 1", source, first)
			}
			if number = first; isRange {
				number = last
			}
		}
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return nil, errors.New("the position has holes, or is none")
		}
		out[source] = n
	}
	return out, nil
}

// sourceOf splits a GTID, or a range of them, into what counts and its number. MariaDB's server id does not count.
func sourceOf(gtid string) (source, number string) {
	if i := strings.LastIndexByte(gtid, ':'); i >= 0 {
		return gtid[:i], gtid[i+1:]
	}
	domain, rest, _ := strings.Cut(gtid, "-")
	_, number, _ = strings.Cut(rest, "-")
	return domain, number
}
