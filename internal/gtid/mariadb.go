package gtid

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parseMariaDB adds domain-server-sequence. Several GTIDs of one domain are a binlog state.
func (s *Set) parseMariaDB(item string) error {
	id, d, err := parseDomain(item)
	if err != nil {
		return err
	}
	have, ok := s.domains[id]
	if ok && have.writers == nil {
		have.writers = map[uint32]uint64{have.server: have.sequence}
		s.domains[id] = have
	}
	s.addDomain(id, d)
	return nil
}

func parseDomain(item string) (uint32, domain, error) {
	first, rest, _ := strings.Cut(item, "-")
	second, third, ok := strings.Cut(rest, "-")
	if !ok || strings.Contains(third, "-") {
		return 0, domain{}, errors.New("want domain-server-sequence")
	}
	id, err1 := strconv.ParseUint(first, 10, 32)
	server, err2 := strconv.ParseUint(second, 10, 32)
	sequence, err3 := strconv.ParseUint(third, 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, domain{}, errors.New("want domain-server-sequence, three integers")
	}
	return uint32(id), domain{server: uint32(server), sequence: sequence}, nil
}

// addDomain adds everything of a domain up to d.
func (s *Set) addDomain(id uint32, d domain) {
	have, ok := s.domains[id]
	if !ok {
		s.domains[id] = d
		return
	}
	if have.writers != nil {
		have.writers[d.server] = max(have.writers[d.server], d.sequence)
	}
	if d.sequence > have.sequence {
		have.server, have.sequence = d.server, d.sequence
	}
	s.domains[id] = have
}

// Domains returns the last sequence number of each of a MariaDB set's domains, in no order.
func (s *Set) Domains() iter.Seq2[uint32, uint64] {
	return func(yield func(uint32, uint64) bool) {
		for id, d := range s.domains {
			if !yield(id, d.sequence) {
				return
			}
		}
	}
}

// rewind goes back to before in every domain of gtids where that is earlier.
func (s *Set) rewind(gtids, before *Set) {
	for id := range gtids.domains {
		have, ok := s.domains[id]
		if to, some := before.domains[id]; ok && !some {
			delete(s.domains, id)
		} else if ok && to.sequence < have.sequence {
			s.domains[id] = to
		}
	}
}

func (s *Set) appendMariaDB(dst []byte) []byte {
	for i, id := range slices.Sorted(maps.Keys(s.domains)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		d := s.domains[id]
		dst = strconv.AppendUint(dst, uint64(id), 10)
		dst = strconv.AppendUint(append(dst, '-'), uint64(d.server), 10)
		dst = strconv.AppendUint(append(dst, '-'), d.sequence, 10)
	}
	return dst
}
