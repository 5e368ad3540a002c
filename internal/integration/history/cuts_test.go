package history

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// What a watermark says too early, too late or by halves is found, and called by its name.
func TestJudgeFindsInWatermarks(t *testing.T) {
	const topic = "work.item"
	move := func(e *Evidence, mark, partition int, by int64) {
		m := &e.Marks[mark]
		m.Ends = maps.Clone(m.Ends)
		m.Ends[topic] = slices.Clone(m.Ends[topic])
		m.Ends[topic][partition] += by
	}
	// last is the partition of the last record of a transaction.
	last := func(e *Evidence, csn uint64) (partition int, offset int64) {
		for _, r := range e.Log {
			if r.CSN == csn {
				partition, offset = int(r.Partition), r.Offset
			}
		}
		return partition, offset
	}
	for _, c := range []struct {
		name string
		do   func(e *Evidence)
		kind string
		says string
	}{
		{"an end before the last record of a transaction", func(e *Evidence) {
			p, _ := last(e, 20)
			move(e, 2, p, -1)
		}, "torn", "others of its transaction before theirs"},
		{"an end behind a record of the next transaction", func(e *Evidence) {
			p, _ := last(e, 50)
			move(e, 4, p, 1)
		}, "torn", "stands before the end"},
		{"a number before its data", func(e *Evidence) {
			e.Marks[4].CSN, e.Marks[4].Through = 50, e.Marks[5].Through
		}, "ahead", "says csn 50"},
		{"a position before its data", func(e *Evidence) { e.Marks[4].Through = e.Marks[5].Through }, "ahead", "covers u:5, which has csn 50"},
		{"a number without its position", func(e *Evidence) { e.Marks[5].Through = e.Marks[4].Through }, "reordered", "does not cover u:5"},
		{"the number falls", func(e *Evidence) { e.Marks = append(e.Marks, e.Marks[5]) }, "reordered", "has csn 50, after csn 80"},
		{"the position falls", func(e *Evidence) {
			again := e.Marks[8]
			again.Through = e.Marks[7].Through
			e.Marks = append(e.Marks, again)
		}, "reordered", "goes back to u:7 from 8"},
		{"an end falls", func(e *Evidence) {
			p, _ := last(e, 80)
			e.Marks = append(e.Marks, e.Marks[8])
			move(e, 9, p, -1)
		}, "reordered", "moves the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := evidence()
			if v := Judge(e); !v.OK() {
				t.Fatalf("before: %s\n%s", v, strings.Join(v.Examples, "\n"))
			}
			c.do(e)
			v := Judge(e)
			counts := map[string]int{"torn": v.Torn, "ahead": v.Ahead, "reordered": v.Reordered}
			if counts[c.kind] == 0 {
				t.Fatalf("not found: %+v", v)
			}
			if !slices.ContainsFunc(v.Examples, func(s string) bool { return strings.HasPrefix(s, c.kind) && strings.Contains(s, c.says) }) {
				t.Errorf("no example says %q:\n%s", c.says, strings.Join(v.Examples, "\n"))
			}
		})
	}
}

func TestThrough(t *testing.T) {
	for _, c := range []struct {
		flavor, gtids string
		want          map[string]uint64 // nil: refused
	}{
		{"mysql", "u:1-7,\nu:tag:1", map[string]uint64{"u": 7, "u:tag": 1}},
		{"mysql", "u:1-7:9", nil},
		{"mysql", "u:2-7", nil},
		{"mariadb", "0-1-7,1-2-3", map[string]uint64{"0": 7, "1": 3}},
		{"mariadb", "", map[string]uint64{}},
	} {
		got, err := through(c.flavor, c.gtids)
		if (err != nil) != (c.want == nil) || err == nil && !maps.Equal(got, c.want) {
			t.Errorf("%s %q is %v, %v", c.flavor, c.gtids, got, err)
		}
	}
}
