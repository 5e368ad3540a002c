package history

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// marks compares the watermarks with the data: what one says is there must be there, whole, and nothing else, then and ever after.
func (v *Verdict) marks(e *Evidence, groups map[string]*group) {
	if len(e.Marks) == 0 {
		return
	}
	v.marksFollow(e.Marks)
	v.ends(e)
	v.positions(e, groups)
}

// marksFollow checks that neither numbers nor positions nor ends ever fall.
func (v *Verdict) marksFollow(marks []Mark) {
	for i := range marks[1:] {
		before, m := &marks[i], &marks[i+1]
		if m.CSN < before.CSN {
			v.found(&v.Reordered, "reordered", "watermark at offset %d has csn %d, after csn %d", m.Offset, m.CSN, before.CSN)
		}
		for source, n := range before.Through {
			if m.Through[source] < n {
				v.found(&v.Reordered, "reordered", "watermark at offset %d goes back to %s:%d from %d", m.Offset, source, m.Through[source], n)
			}
		}
		for topic, ends := range before.Ends {
			for number, end := range ends {
				if len(m.Ends[topic]) <= number || m.Ends[topic][number] < end {
					v.found(&v.Reordered, "reordered", "watermark at offset %d moves the end of %s/%d back from %d", m.Offset, topic, number, end)
				}
			}
		}
	}
}

// ends checks each watermark against what stands before and behind its ends. A transaction with records on both sides is torn; one that a watermark
// covers and that is not there at all before the ends is behind it: the watermark was ahead of the data.
func (v *Verdict) ends(e *Evidence) {
	type partition struct {
		topic  string
		number int
	}
	data := map[partition][]*Record{}
	inside := map[uint64][]*Record{} // the records of each transaction
	for i := range e.Log {
		r := &e.Log[i]
		_, topic, _ := strings.Cut(r.Topic, ".")
		p := partition{topic, int(r.Partition)}
		data[p] = append(data[p], r)
		inside[r.CSN] = append(inside[r.CSN], r)
	}
	for _, list := range data {
		slices.SortStableFunc(list, func(a, b *Record) int { return cmp.Compare(a.Offset, b.Offset) })
	}
	endOf := func(m *Mark, p partition) int64 {
		if ends := m.Ends[p.topic]; p.number < len(ends) {
			return ends[p.number]
		}
		return 0
	}
	torn, ahead := map[uint64]bool{}, map[uint64]bool{}
	for i := range e.Marks {
		m := &e.Marks[i]
		for p, list := range data {
			end := endOf(m, p)
			at, _ := slices.BinarySearchFunc(list, end, func(r *Record, end int64) int { return cmp.Compare(r.Offset, end) })
			if at > 0 && list[at-1].CSN > m.CSN && !torn[list[at-1].CSN] {
				r := list[at-1]
				torn[r.CSN] = true
				v.found(&v.Torn, "torn", "%s stands before the end %d that the watermark at offset %d has for csn %d", r.At(), end, m.Offset, m.CSN)
			}
			if at == len(list) || list[at].CSN > m.CSN {
				continue
			}
			r := list[at]
			part := slices.ContainsFunc(inside[r.CSN], func(o *Record) bool {
				_, topic, _ := strings.Cut(o.Topic, ".")
				return o.Offset < endOf(m, partition{topic, int(o.Partition)})
			})
			switch {
			case part && !torn[r.CSN]:
				torn[r.CSN] = true
				v.found(&v.Torn, "torn", "%s stands behind the end %d that the watermark at offset %d has for csn %d, others of its transaction before theirs", r.At(), end, m.Offset, m.CSN)
			case !part && !ahead[r.CSN]:
				ahead[r.CSN] = true
				v.found(&v.Ahead, "ahead", "the watermark at offset %d says csn %d, and %s stands behind its end %d", m.Offset, m.CSN, r.At(), end)
			}
		}
	}
}

// positions checks that what a watermark's position covers has a number of at most its csn, and everything else a higher one: whoever begins there reads
// neither too little nor too much.
func (v *Verdict) positions(e *Evidence, groups map[string]*group) {
	type numbered struct{ number, csn uint64 }
	bySource := map[string][]numbered{}
	for i := range e.Binlog {
		t := &e.Binlog[i]
		g := groups[t.GTID]
		if g == nil {
			continue
		}
		source, text := sourceOf(t.GTID)
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			bySource[source] = append(bySource[source], numbered{n, g.csn})
		}
	}
	told := map[uint64]bool{}
	for _, source := range slices.Sorted(maps.Keys(bySource)) {
		list := bySource[source]
		slices.SortFunc(list, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
		for i := range e.Marks {
			m := &e.Marks[i]
			at, _ := slices.BinarySearchFunc(list, m.Through[source]+1, func(n numbered, want uint64) int { return cmp.Compare(n.number, want) })
			if at > 0 && list[at-1].csn > m.CSN && !told[list[at-1].csn] {
				told[list[at-1].csn] = true
				v.found(&v.Ahead, "ahead", "the watermark at offset %d says csn %d and covers %s:%d, which has csn %d", m.Offset, m.CSN, source, list[at-1].number, list[at-1].csn)
			}
			if at < len(list) && list[at].csn <= m.CSN && !told[list[at].csn] {
				told[list[at].csn] = true
				v.found(&v.Reordered, "reordered", "the watermark at offset %d says csn %d and does not cover %s:%d, which has csn %d", m.Offset, m.CSN, source, list[at].number, list[at].csn)
			}
		}
	}
}
