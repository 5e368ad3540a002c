package election

// Op is what a record says.
type Op string

// The operations.
const (
	Claim  Op = "claim"  // Member wants to lead Term
	Beat   Op = "beat"   // Member leads Term, and lives
	Resign Op = "resign" // Member does not lead Term any more
)

// Record is what members tell each other.
type Record struct {
	Op     Op     `json:"op"`
	Term   uint64 `json:"term"`
	Member string `json:"member"`
	Name   string `json:"name"` // of the member, for humans
	// Heard is, in a claim, the offset of the last record that decided about the term before, as far as the claimant has read; -1 for none.
	Heard int64 `json:"heard"`
}

// Entry is a record in its place of the list.
type Entry struct {
	Offset int64
	Record
}

// state is what the list says, as far as it has been read. Every reader of the same records has the same state.
type state struct {
	term   uint64
	member string // that leads, empty where none does
	name   string
	heard  int64 // offset of the leader's last sign of life, or of its resignation; -1 when nothing was ever read
	guess  bool  // the first record read could not be judged, since those before it are gone; the next beat tells
}

func newState() state { return state{heard: -1} }

// apply takes note of the next record.
func (s *state) apply(e Entry) {
	switch e.Op {
	case Claim:
		// A later term than the next one is of a member that has read more: the list was cut before this reader came.
		if s.heard >= 0 && e.Term <= s.term || e.Term == s.term+1 && e.Heard != s.heard {
			return
		}
		guess := s.guess || s.heard < 0 && e.Heard >= 0
		*s = state{e.Term, e.Member, e.Name, e.Offset, guess}
	case Beat: // only who has won beats
		if s.guess || e.Term > s.term || e.Term == s.term && s.member != "" {
			*s = state{e.Term, e.Member, e.Name, e.Offset, false}
		}
	case Resign:
		if s.heard < 0 || e.Term == s.term && e.Member == s.member {
			*s = state{e.Term, "", "", e.Offset, s.guess || s.heard < 0}
		}
	}
}
