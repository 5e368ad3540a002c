package projectortest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrace-go/millrace/projector"
)

// TestLocalStates is the conformance suite of [projector.LocalStates]. open is called for a store that holds nothing; reopen returns one with the same
// content, as the next process finds it: the states that were open are not closed before, where that can be had.
func TestLocalStates(t *testing.T, open func(t *testing.T) (states projector.LocalStates, reopen func() projector.LocalStates)) {
	for _, c := range []struct {
		name string
		run  func(*stateSuite)
	}{
		{"ReadsItsWrites", (*stateSuite).readsItsWrites},
		{"Scan", (*stateSuite).scan},
		{"ScanManyValues", (*stateSuite).scanMany},
		{"Keys", (*stateSuite).keys},
		{"CopiesArguments", (*stateSuite).copies},
		{"CloseDropsWhatIsNotCommitted", (*stateSuite).closeDrops},
		{"CommitSurvivesClose", (*stateSuite).commitSurvives},
		{"NamesApart", (*stateSuite).namesApart},
		{"OpenTwice", (*stateSuite).openTwice},
		{"Remove", (*stateSuite).remove},
		{"Closed", (*stateSuite).closed},
		{"LikeAMap", (*stateSuite).likeAMap},
		{"CrashLeavesACommit", (*stateSuite).crash},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stateSuite{T: t}
			s.states, s.reopen = open(t)
			c.run(s)
		})
	}
}

type stateSuite struct {
	*testing.T
	states projector.LocalStates
	reopen func() projector.LocalStates
}

func (s *stateSuite) open(name string) projector.LocalState {
	s.Helper()
	state, err := s.states.Open(s.Context(), name)
	if err != nil {
		s.Fatalf("open %q: %v", name, err)
	}
	return state
}

func (s *stateSuite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stateSuite) set(state projector.LocalState, pairs ...string) {
	s.Helper()
	for i := 0; i < len(pairs); i += 2 {
		s.ok(state.Set([]byte(pairs[i]), []byte(pairs[i+1])))
	}
}

// want checks a state's whole content, by Scan and by Get.
func (s *stateSuite) want(state projector.LocalState, want map[string]string) {
	s.Helper()
	if got := s.content(state); !maps.Equal(got, want) {
		s.Errorf("got %q, want %q", got, want)
	}
	for key, text := range want {
		if value, found, err := state.Get([]byte(key)); err != nil || !found || string(value) != text {
			s.Errorf("get %q: got %q, %v, %v, want %q", key, value, found, err, text)
		}
	}
}

func (s *stateSuite) content(state projector.LocalState) map[string]string {
	s.Helper()
	got := map[string]string{}
	s.ok(state.Scan([]byte{0}, bytes.Repeat([]byte{0xff}, 16), func(key, value []byte) bool {
		got[string(key)] = string(value)
		return true
	}))
	return got
}

func (s *stateSuite) readsItsWrites() {
	state := s.open("a")
	s.want(state, map[string]string{})
	s.set(state, "k", "1", "empty", "", "gone", "x")
	s.ok(state.Delete([]byte("gone")))
	s.ok(state.Delete([]byte("never")))
	s.want(state, map[string]string{"k": "1", "empty": ""})
	s.ok(state.Commit())
	s.set(state, "k", "2", "gone", "back")
	s.ok(state.Delete([]byte("empty")))
	s.want(state, map[string]string{"k": "2", "gone": "back"})
	if value, found, err := state.Get([]byte("empty")); found || value != nil || err != nil {
		s.Errorf("get of a deleted key: got %q, %v, %v", value, found, err)
	}
	s.ok(state.Close())
}

func (s *stateSuite) scan() {
	state := s.open("a")
	s.set(state, "b", "", "a", "", "a\x00", "", "a\xff", "", "a\xff\xff", "")
	s.ok(state.Commit())
	s.set(state, "ab", "", "\xfe", "") // some committed, some not
	s.ok(state.Delete([]byte("a\xff")))
	for _, c := range []struct {
		low, high string
		stop      int
		want      []string
	}{
		{"a", "b", 9, []string{"a", "a\x00", "ab", "a\xff\xff"}},
		{"a\x00", "a\xff\xff", 9, []string{"a\x00", "ab"}},
		{"a", "\xff", 2, []string{"a", "a\x00"}},
		{"b", "b", 9, nil},
		{"c", "b", 9, nil},
		{"\x00", "a", 9, nil},
		{"b", "\xff", 9, []string{"b", "\xfe"}},
	} {
		var got []string
		s.ok(state.Scan([]byte(c.low), []byte(c.high), func(key, _ []byte) bool {
			got = append(got, string(key))
			return len(got) < c.stop
		}))
		if !slices.Equal(got, c.want) {
			s.Errorf("scan from %q to %q: got %q, want %q", c.low, c.high, got, c.want)
		}
	}
	s.ok(state.Close())
}

func (s *stateSuite) scanMany() {
	state := s.open("a")
	const n = 5000
	for i := range n {
		s.set(state, fmt.Sprintf("%06d", i*7919%n), fmt.Sprint(i*7919%n))
		if i%1000 == 0 {
			s.ok(state.Commit())
		}
	}
	i := 0
	s.ok(state.Scan([]byte("0"), []byte("1"), func(key, value []byte) bool {
		if string(key) != fmt.Sprintf("%06d", i) || string(value) != fmt.Sprint(i) {
			s.Fatalf("entry %d: got %q %q", i, key, value)
		}
		i++
		return true
	}))
	if i != n {
		s.Errorf("got %d entries, want %d", i, n)
	}
	s.ok(state.Close())
}

func (s *stateSuite) keys() {
	state := s.open("a")
	long, value := bytes.Repeat([]byte("k"), projector.MaxStateKey), bytes.Repeat([]byte("v"), 5<<20)
	s.ok(state.Set(long, value))
	s.ok(state.Set([]byte{0}, []byte{0}))
	s.ok(state.Commit())
	if got, found, err := state.Get(long); err != nil || !found || !bytes.Equal(got, value) {
		s.Errorf("get of the longest key: %d bytes, %v, %v", len(got), found, err)
	}
	for _, key := range [][]byte{nil, append(long, 'k')} {
		if err := state.Set(key, nil); err == nil {
			s.Errorf("a key of %d bytes was taken", len(key))
		}
	}
	s.ok(state.Close())
}

func (s *stateSuite) copies() {
	state := s.open("a")
	key, value := []byte("key"), []byte("value")
	s.ok(state.Set(key, value))
	key[0], value[0] = 'x', 'x'
	s.want(state, map[string]string{"key": "value"})
	s.ok(state.Commit())
	s.want(state, map[string]string{"key": "value"})
	s.ok(state.Close())
}

func (s *stateSuite) closeDrops() {
	state := s.open("a")
	s.set(state, "a", "1", "b", "1")
	s.ok(state.Commit())
	s.set(state, "a", "2", "c", "2", "c", "3")
	s.ok(state.Delete([]byte("b")))
	s.set(state, "a", "3")
	s.ok(state.Delete([]byte("a")))
	s.ok(state.Close())
	s.ok(state.Close())
	state = s.open("a")
	s.want(state, map[string]string{"a": "1", "b": "1"})
	s.ok(state.Close())
}

func (s *stateSuite) commitSurvives() {
	state := s.open("a")
	s.set(state, "a", "1")
	s.ok(state.Commit())
	s.ok(state.Commit()) // an empty group
	s.ok(state.Close())
	s.states = s.reopen()
	state = s.open("a")
	s.want(state, map[string]string{"a": "1"})
	s.ok(state.Close())
}

func (s *stateSuite) namesApart() {
	a, b := s.open("shop/home page"), s.open("shop/home_page")
	s.set(a, "k", "a")
	s.set(b, "k", "b")
	s.ok(a.Commit())
	s.ok(b.Commit())
	s.ok(a.Close())
	s.ok(s.states.Remove(s.Context(), "shop/home page"))
	s.want(b, map[string]string{"k": "b"})
	s.ok(b.Close())
}

func (s *stateSuite) openTwice() {
	state := s.open("a")
	if _, err := s.states.Open(s.Context(), "a"); err == nil {
		s.Error("opened twice at once")
	} else if errors.Is(err, projector.ErrStateLost) {
		s.Errorf("opened twice at once: %v: it would be removed", err)
	}
	s.set(state, "a", "1")
	s.ok(state.Commit())
	s.ok(state.Close())
}

func (s *stateSuite) remove() {
	state := s.open("a")
	s.set(state, "a", "1")
	s.ok(state.Commit())
	if err := s.states.Remove(s.Context(), "a"); err == nil {
		s.Error("an open state was removed")
	}
	s.ok(state.Close())
	s.ok(s.states.Remove(s.Context(), "a"))
	s.ok(s.states.Remove(s.Context(), "a"))
	state = s.open("a")
	s.want(state, map[string]string{})
	s.ok(state.Close())
}

func (s *stateSuite) closed() {
	state := s.open("a")
	s.ok(state.Close())
	_, _, err := state.Get([]byte("a"))
	for what, err := range map[string]error{"Get": err, "Set": state.Set([]byte("a"), nil), "Delete": state.Delete([]byte("a")),
		"Commit": state.Commit(), "Scan": state.Scan([]byte("a"), []byte("b"), func(_, _ []byte) bool { return true })} {
		if err == nil {
			s.Errorf("%s on a closed state: no error", what)
		}
	}
}

// likeAMap does random things and compares.
func (s *stateSuite) likeAMap() {
	r := rand.New(rand.NewPCG(1, 1))
	state, now, committed := s.open("a"), map[string]string{}, map[string]string{}
	for i := range 20_000 {
		key := fmt.Sprintf("%c%c", 'a'+r.IntN(26), 'a'+r.IntN(26))
		switch r.IntN(100) {
		default:
			s.set(state, key, fmt.Sprint(i))
			now[key] = fmt.Sprint(i)
		case 0:
			s.ok(state.Commit())
			committed = maps.Clone(now)
		case 1:
			s.ok(state.Close())
			state, now = s.open("a"), maps.Clone(committed)
		case 2:
			s.want(state, now)
		case 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39:
			s.ok(state.Delete([]byte(key)))
			delete(now, key)
		case 40:
			for range 800 { // down to nothing
				key := fmt.Sprintf("%c%c", 'a'+r.IntN(26), 'a'+r.IntN(26))
				s.ok(state.Delete([]byte(key)))
				delete(now, key)
			}
		}
	}
	s.want(state, now)
	s.ok(state.Close())
}

// crash leaves a state open with much that is committed and something that is not. The next process finds the state of a commit.
func (s *stateSuite) crash() {
	state := s.open("a")
	const groups, each = 50, 20
	for g := range groups {
		for i := range each {
			s.set(state, fmt.Sprintf("%02d", i), fmt.Sprint(g))
		}
		s.ok(state.Commit())
	}
	s.set(state, "00", "not committed")
	s.states = s.reopen()
	next, err := s.states.Open(s.Context(), "a")
	if err != nil { // it is the same process after all
		s.ok(state.Close())
		next = s.open("a")
	}
	content := s.content(next)
	for key, value := range content {
		if value != content["00"] || len(content) != each || value == "not committed" {
			s.Fatalf("%d entries, %q is of group %s, 00 of group %s", len(content), key, value, content["00"])
		}
	}
	s.ok(next.Close())
}
