package gtid

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// MySQL and MariaDB are the flavors of a set.
const (
	MySQL   = "mysql"
	MariaDB = "mariadb"
)

// Set is a set of transactions of one flavor. The zero value is not usable; see [New]. Not safe for concurrent use.
type Set struct {
	flavor  string
	sources []source          // MySQL, sorted by name
	domains map[uint32]domain // MariaDB
}

// domain is the last GTID of a MariaDB replication domain.
type domain struct {
	server   uint32
	sequence uint64
	// writers is nil in a position. In a set that was read from a binlog state, which names several servers of the domain, it has the
	// last sequence number of each.
	writers map[uint32]uint64
}

// New returns an empty set.
func New(flavor string) *Set { return &Set{flavor: flavor, domains: map[uint32]domain{}} }

// Parse reads a set in the flavor's notation. White space around items is allowed; the empty text is the empty set, also where
// the flavor is not known.
func Parse(flavor, text string) (*Set, error) {
	s := New(flavor)
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		var err error
		switch flavor {
		case MySQL:
			err = s.parseMySQL(item)
		case MariaDB:
			err = s.parseMariaDB(item)
		default:
			err = fmt.Errorf("unknown flavor %q", flavor)
		}
		if err != nil {
			return nil, fmt.Errorf("gtid set item %q: %w", item, err)
		}
	}
	return s, nil
}

// Flavor returns the set's flavor.
func (s *Set) Flavor() string { return s.flavor }

// Add adds one GTID or a whole set in the flavor's notation.
func (s *Set) Add(text string) error {
	if s.flavor == MySQL && strings.IndexByte(text, ',') < 0 {
		name, number, _ := cutLast(text, ':')
		if n, err := strconv.ParseUint(number, 10, 63); err == nil && n > 0 && s.find(name) != nil {
			s.find(name).add(interval{n, n}) // one more of a known server: the case of every transaction of a stream
			return nil
		}
	}
	if s.flavor == MariaDB && strings.IndexByte(text, ',') < 0 && text != "" {
		id, d, err := parseDomain(text)
		if err != nil {
			return fmt.Errorf("gtid set item %q: %w", text, err)
		}
		s.addDomain(id, d)
		return nil
	}
	other, err := Parse(s.flavor, text)
	if err != nil {
		return err
	}
	for _, src := range other.sources {
		mine := s.source(src.name)
		for _, iv := range src.intervals {
			mine.add(iv)
		}
	}
	for id, d := range other.domains {
		s.addDomain(id, d)
	}
	return nil
}

// Remove takes the transactions named by gtids out. A MariaDB set cannot have holes: it goes back to what before has in their domains,
// which must be everything that was executed before them.
func (s *Set) Remove(gtids, before string) error {
	other, err := Parse(s.flavor, gtids)
	if err != nil {
		return err
	}
	place, err := Parse(s.flavor, before)
	if err != nil {
		return err
	}
	for _, src := range other.sources {
		mine := s.find(src.name)
		if mine == nil {
			continue
		}
		for _, iv := range src.intervals {
			mine.remove(iv)
		}
		if len(mine.intervals) == 0 {
			s.sources = slices.DeleteFunc(s.sources, func(have source) bool { return have.name == src.name })
		}
	}
	s.rewind(other, place)
	return nil
}

// Contains tells whether every transaction of other is in s. A MariaDB domain is compared by its sequence number, since the servers of
// one domain share one sequence; but where s is a binlog state that names several servers, by the number of the server that other
// ends with: a number that another server gave away anew, after a failover that lost it, does not count.
func (s *Set) Contains(other *Set) bool {
	for _, theirs := range other.sources {
		mine := s.find(theirs.name)
		for _, iv := range theirs.intervals {
			if mine == nil || !mine.contains(iv) {
				return false
			}
		}
	}
	for id, d := range other.domains {
		mine := s.domains[id]
		if mine.writers != nil && mine.writers[d.server] < d.sequence || mine.sequence < d.sequence {
			return false
		}
	}
	return true
}

// Disjoint tells whether no server has written both to s and to other: the mark of two histories that have nothing to do with each other.
// MariaDB's domains are all that can be compared there.
func (s *Set) Disjoint(other *Set) bool {
	for _, src := range other.sources {
		if s.find(src.name) != nil {
			return false
		}
	}
	for id := range other.domains {
		if _, shared := s.domains[id]; shared {
			return false
		}
	}
	return true
}

// Foreign tells whether both sets have transactions and no server has written to both. One that has nothing may be a replica to be.
func (s *Set) Foreign(other *Set) bool { return !s.IsEmpty() && !other.IsEmpty() && s.Disjoint(other) }

// IsEmpty tells whether the set holds no transaction.
func (s *Set) IsEmpty() bool { return len(s.sources) == 0 && len(s.domains) == 0 }

// Clone returns an independent copy.
func (s *Set) Clone() *Set {
	c := New(s.flavor)
	for _, src := range s.sources {
		c.sources = append(c.sources, source{src.name, append([]interval(nil), src.intervals...)})
	}
	for id, d := range s.domains {
		d.writers = maps.Clone(d.writers)
		c.domains[id] = d
	}
	return c
}

// String returns the set in the flavor's notation, sorted. Of a binlog state it is the position: one GTID a domain.
func (s *Set) String() string { return string(s.Append(nil)) }

// Append appends the set's text to dst.
func (s *Set) Append(dst []byte) []byte {
	if s.flavor == MariaDB {
		return s.appendMariaDB(dst)
	}
	return s.appendMySQL(dst)
}

// cutLast splits text around the last sep.
func cutLast(text string, sep byte) (before, after string, found bool) {
	if at := strings.LastIndexByte(text, sep); at >= 0 {
		return text[:at], text[at+1:], true
	}
	return text, "", false
}
