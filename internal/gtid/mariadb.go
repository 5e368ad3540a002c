package gtid

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parseMariaDB adds domain-server-sequence. Two GTIDs of one domain: the higher sequence counts.
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
	if have, ok := s.domains[uint32(id)]; !ok || sequence > have.sequence {
		s.domains[uint32(id)] = domain{uint32(server), sequence}
	}
	return nil
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
