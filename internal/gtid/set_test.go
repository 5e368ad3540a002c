package gtid

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
)

func TestParseAndString(t *testing.T) {
	for _, tt := range []struct{ flavor, in, want string }{
		{MySQL, "", ""},
		{MySQL, uuidA + ":1-5", uuidA + ":1-5"},
		{MySQL, " " + uuidB + ":3 ,\n" + uuidA + ":1-2:3-4:9", uuidA + ":1-4:9," + uuidB + ":3"},
		{MySQL, uuidA + ":1-2:blue:1-7:green:2", uuidA + ":1-2," + uuidA + ":blue:1-7," + uuidA + ":green:2"},
		{MySQL, "3E11FA47-71CA-11E1-9E33-C80AA9429562:7", uuidA + ":7"},
		{MariaDB, "1-2-9,0-1-270", "0-1-270,1-2-9"},
		{MariaDB, "0-1-270,0-2-271", "0-2-271"},
	} {
		s, err := Parse(tt.flavor, tt.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
		} else if got := s.String(); got != tt.want {
			t.Errorf("Parse(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ flavor, in string }{
		{MySQL, "x:1"}, {MySQL, uuidA}, {MySQL, uuidA + ":0"}, {MySQL, uuidA + ":5-4"}, {MySQL, uuidA + ":tag"}, {MySQL, uuidA + ":-1"},
		{MySQL, uuidA + ":1-99999999999999999999"}, {MariaDB, "0-1"}, {MariaDB, "0-1-x"}, {MariaDB, "-1-1-1"}, {"", "0-1-1"},
	} {
		if s, err := Parse(tt.flavor, tt.in); err == nil {
			t.Errorf("Parse(%q, %q) = %q, want an error", tt.flavor, tt.in, s)
		}
	}
}

// TestAddAgainstMap adds random intervals and compares membership with a plain map after each.
func TestAddAgainstMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		s, truth := New(MySQL), map[uint64]bool{}
		for range 30 {
			first := rnd.Uint64N(60) + 1
			last := first + rnd.Uint64N(4)
			text := uuidA + ":" + strconv.FormatUint(first, 10)
			if last > first {
				text += "-" + strconv.FormatUint(last, 10)
			}
			if err := s.Add(text); err != nil {
				t.Fatal(err)
			}
			for n := first; n <= last; n++ {
				truth[n] = true
			}
			again, err := Parse(MySQL, s.String())
			if err != nil || again.String() != s.String() {
				t.Fatalf("%q does not read back: %q %v", s, again, err)
			}
			for n := uint64(1); n < 70; n++ {
				one, _ := Parse(MySQL, uuidA+":"+strconv.FormatUint(n, 10))
				if s.Contains(one) != truth[n] {
					t.Fatalf("%q contains %d: got %v, want %v", s, n, s.Contains(one), truth[n])
				}
			}
		}
	}
}

func TestContainsMariaDB(t *testing.T) {
	s, _ := Parse(MariaDB, "0-1-270,1-2-9")
	for in, want := range map[string]bool{"0-1-270": true, "0-7-12": true, "0-1-271": false, "2-1-1": false, "": true} {
		other, _ := Parse(MariaDB, in)
		if got := s.Contains(other); got != want {
			t.Errorf("contains %q: got %v, want %v", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(true, uuidA+":1-5:7,"+uuidB+":blue:1")
	f.Add(false, "0-1-270,1-2-9")
	f.Fuzz(func(t *testing.T, mysql bool, text string) {
		flavor := MariaDB
		if mysql {
			flavor = MySQL
		}
		s, err := Parse(flavor, text)
		if err != nil {
			return
		}
		again, err := Parse(flavor, s.String())
		if err != nil || again.String() != s.String() || !again.Contains(s) || !s.Contains(again) {
			t.Fatalf("%q does not read back: %q, %v", s, again, err)
		}
	})
}

// TestBinlogState: MariaDB's binlog state tells a number that was lost from the same number given away anew.
func TestBinlogState(t *testing.T) {
	s, err := Parse(MariaDB, "0-1-99,0-2-101,5-1-7")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]bool{"0-1-99": true, "0-1-100": false, "0-2-100": true, "0-2-101": true, "0-3-1": false, "5-9-3": true, "6-1-1": false} {
		other, _ := Parse(MariaDB, in)
		if got := s.Contains(other); got != want {
			t.Errorf("contains %s: got %v, want %v", in, got, want)
		}
	}
	if got := s.String(); got != "0-2-101,5-1-7" {
		t.Errorf("the position is %s", got)
	}
	c := s.Clone()
	if err := c.Add("0-1-102"); err != nil || c.String() != "0-1-102,5-1-7" {
		t.Errorf("got %s, %v", c, err)
	}
	for in, want := range map[string]bool{"0-1-100": true, "0-1-102": true, "0-2-102": false} {
		other, _ := Parse(MariaDB, in)
		if got := c.Contains(other); got != want {
			t.Errorf("with 0-1-102: contains %s: got %v, want %v", in, got, want)
		}
	}
	lost, _ := Parse(MariaDB, "0-1-100")
	if s.Contains(lost) {
		t.Error("the clone shares its memory")
	}
}

// TestDisjoint: which sets no server has written both of. They are foreign when both have something.
func TestDisjoint(t *testing.T) {
	for _, tt := range []struct {
		flavor, a, b string
		want         bool
	}{
		{MySQL, uuidA + ":1-5", uuidB + ":1-5", true},
		{MySQL, uuidA + ":1-5", uuidB + ":1-5," + uuidA + ":9", false},
		{MariaDB, "0-1-5", "1-1-5", true},
		{MariaDB, "0-1-5", "0-2-9", false},
		{MariaDB, "0-1-5", "", true},
		{MySQL, "", "", true},
	} {
		a, _ := Parse(tt.flavor, tt.a)
		b, _ := Parse(tt.flavor, tt.b)
		if a.Disjoint(b) != tt.want || b.Disjoint(a) != tt.want {
			t.Errorf("%s and %s: want %v", tt.a, tt.b, tt.want)
		}
		if want := tt.want && tt.a != "" && tt.b != ""; a.Foreign(b) != want || b.Foreign(a) != want {
			t.Errorf("%q and %q are foreign: want %v", tt.a, tt.b, want)
		}
	}
}

func TestRemove(t *testing.T) {
	for _, tt := range []struct{ flavor, set, gtids, before, want string }{
		{MySQL, uuidA + ":1-9", uuidA + ":5", "", uuidA + ":1-4:6-9"},
		{MySQL, uuidA + ":1-9", uuidA + ":1:9", "", uuidA + ":2-8"},
		{MySQL, uuidA + ":1-9:blue:4", uuidA + ":blue:4", "", uuidA + ":1-9"},
		{MySQL, uuidA + ":3," + uuidB + ":1", uuidA + ":3", "", uuidB + ":1"},
		{MySQL, uuidA + ":1-9", uuidB + ":5", "", uuidA + ":1-9"},
		{MySQL, uuidA + ":1-3:7-9", uuidA + ":2-8", "", uuidA + ":1:9"},
		{MariaDB, "0-1-9,1-2-5", "0-1-7", "0-2-6,1-2-2", "0-2-6,1-2-5"},
		{MariaDB, "0-1-5,1-2-5", "0-1-7", "0-1-6", "0-1-5,1-2-5"},
		{MariaDB, "0-1-9,1-2-5", "1-2-1", "0-1-6", "0-1-9"},
	} {
		s, err := Parse(tt.flavor, tt.set)
		if err == nil {
			err = s.Remove(tt.gtids, tt.before)
		}
		if err != nil || s.String() != tt.want {
			t.Errorf("%s without %s (before it %s): %q, %v; want %q", tt.set, tt.gtids, tt.before, s, err, tt.want)
		}
	}
}
