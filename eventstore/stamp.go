package eventstore

import (
	"iter"
	"math"
	"strconv"
	"strings"
)

// Add appends transaction id under csn. Where csn is the next number and id the next of the last run's own counting, the run
// grows; otherwise a new run begins, so contiguous GTIDs cost one run. The number of an id is its trailing decimal digits after
// the last ':' or '-'. csn must be greater than every one before.
func (s *Stamp) Add(csn CSN, id string) {
	if n := len(s.Runs); n > 0 {
		last := &s.Runs[n-1]
		if csn == last.First+CSN(last.Count) && follows(last.ID, id, last.Count) {
			last.Count++
			return
		}
	}
	s.Runs = append(s.Runs, Run{First: csn, Count: 1, ID: id})
}

// All yields the stamp's transactions by rising CSN.
func (s *Stamp) All() iter.Seq2[CSN, string] {
	return func(yield func(CSN, string) bool) {
		for _, r := range s.Runs {
			prefix, first, numbered := splitID(r.ID)
			for i := range r.Count {
				id := r.ID
				if i > 0 && numbered {
					id = prefix + strconv.FormatUint(first+i, 10)
				}
				if !yield(r.First+CSN(i), id) {
					return
				}
			}
		}
	}
}

// Last returns the highest CSN of the stamp, 0 for an empty one.
func (s *Stamp) Last() CSN {
	if len(s.Runs) == 0 {
		return 0
	}
	r := s.Runs[len(s.Runs)-1]
	return r.First + CSN(r.Count) - 1
}

// follows tells whether id is the step-th id after first in first's own counting.
func follows(first, id string, step uint64) bool {
	prefix, n, ok := splitID(first)
	if !ok || n > math.MaxUint64-step {
		return false
	}
	p, m, ok := splitID(id)
	return ok && p == prefix && m == n+step
}

// splitID splits an id into its prefix, separator included, and its number. An id whose number could not be written again
// from its value (leading zeros, no digits, too large) has none.
func splitID(id string) (prefix string, number uint64, ok bool) {
	at := strings.LastIndexAny(id, ":-") + 1
	digits := id[at:]
	if at == 0 || digits == "" || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(digits) > 1 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return id[:at], n, err == nil
}
