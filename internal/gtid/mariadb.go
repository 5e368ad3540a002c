package gtid

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parseMariaDB adds domain-server-sequence. Several GTIDs of one domain are a binlog state.
func (s *Set) parseMariaDB(item string) error {
	parts := strings.Split(item, "-")
	if len(parts) != 3 {
		return errors.New("want domain-server-sequence")
	}
	id, err1 := strconv.ParseUint(parts[0], 10, 32)
	server, err2 := strconv.ParseUint(parts[1], 10, 32)
	sequence, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return errors.New("want domain-server-sequence, three integers")
	}
	have, ok := s.domains[uint32(id)]
	if ok && have.writers == nil {
		have.writers = map[uint32]uint64{have.server: have.sequence}
		s.domains[uint32(id)] = have
	}
	s.addDomain(uint32(id), domain{server: uint32(server), sequence: sequence})
	return nil
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
