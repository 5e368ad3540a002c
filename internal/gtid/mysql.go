package gtid

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// source is what a set holds of one server uuid (and tag).
type source struct {
	name      string     // lower-case uuid, or uuid:tag
	intervals []interval // rising, disjoint, not adjacent
}

// interval is first … last, both included.
type interval struct{ first, last uint64 }

func (s *Set) find(name string) *source {
	at, found := slices.BinarySearchFunc(s.sources, name, func(a source, name string) int { return strings.Compare(a.name, name) })
	if !found {
		return nil
	}
	return &s.sources[at]
}

// source returns the entry of name, made when missing.
func (s *Set) source(name string) *source {
	at, found := slices.BinarySearchFunc(s.sources, name, func(a source, name string) int { return strings.Compare(a.name, name) })
	if !found {
		s.sources = slices.Insert(s.sources, at, source{name: name})
	}
	return &s.sources[at]
}

func (s *source) add(iv interval) {
	if n := len(s.intervals); n > 0 { // the next number of the stream
		if last := &s.intervals[n-1]; iv.first == last.last+1 {
			last.last = iv.last
			return
		}
	}
	// the first interval that iv touches or that stands behind it
	at, _ := slices.BinarySearchFunc(s.intervals, iv.first, func(have interval, first uint64) int {
		if have.last+1 < first {
			return -1
		}
		return 1
	})
	end := at
	for end < len(s.intervals) && s.intervals[end].first <= iv.last+1 {
		iv.first = min(iv.first, s.intervals[end].first)
		iv.last = max(iv.last, s.intervals[end].last)
		end++
	}
	s.intervals = slices.Replace(s.intervals, at, end, iv)
}

func (s *source) remove(iv interval) {
	var left []interval
	for _, have := range s.intervals {
		if have.first < iv.first {
			left = append(left, interval{have.first, min(have.last, iv.first-1)})
		}
		if have.last > iv.last {
			left = append(left, interval{max(have.first, iv.last+1), have.last})
		}
	}
	s.intervals = left
}

func (s *source) contains(iv interval) bool {
	at, _ := slices.BinarySearchFunc(s.intervals, iv.first, func(have interval, first uint64) int {
		if have.last < first {
			return -1
		}
		return 1
	})
	return at < len(s.intervals) && s.intervals[at].first <= iv.first && iv.last <= s.intervals[at].last
}

// parseMySQL adds uuid[:tag]:interval[:interval…][:tag:interval…].
func (s *Set) parseMySQL(item string) error {
	uuid, rest, found := strings.Cut(item, ":")
	if !found || !isUUID(uuid) {
		return errors.New("want uuid:number or uuid:first-last")
	}
	uuid = strings.ToLower(uuid)
	name, empty := uuid, true
	for part := range strings.SplitSeq(rest, ":") {
		part = strings.TrimSpace(part)
		if part != "" && (part[0] < '0' || part[0] > '9') {
			name = uuid + ":" + strings.ToLower(part)
			continue
		}
		lo, hi, ranged := strings.Cut(part, "-")
		first, err := strconv.ParseUint(strings.TrimSpace(lo), 10, 63)
		if err != nil {
			return fmt.Errorf("number %q: not a positive integer", lo)
		}
		last := first
		if ranged {
			if last, err = strconv.ParseUint(strings.TrimSpace(hi), 10, 63); err != nil {
				return fmt.Errorf("number %q: not a positive integer", hi)
			}
		}
		if first == 0 || last < first {
			return fmt.Errorf("interval %q: want first-last with 0 < first <= last", part)
		}
		s.source(name).add(interval{first, last})
		empty = false
	}
	if empty {
		return errors.New("no interval")
	}
	return nil
}

func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

func (s *Set) appendMySQL(dst []byte) []byte {
	for i, src := range s.sources {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, src.name...)
		for _, iv := range src.intervals {
			dst = strconv.AppendUint(append(dst, ':'), iv.first, 10)
			if iv.last > iv.first {
				dst = strconv.AppendUint(append(dst, '-'), iv.last, 10)
			}
		}
	}
	return dst
}
