package cdc

import "testing"

// TestOvertaken: which server is followed instead of one that stands still. Each case is what both servers have, at one look after the
// other; a is followed.
func TestOvertaken(t *testing.T) {
	const (
		a = "00000000-0000-4000-8000-00000000000a:"
		b = "00000000-0000-4000-8000-00000000000b:"
	)
	type look struct{ followed, other string }
	cases := []struct {
		name, flavor string
		looks        []look
		want         int // the look at which the other is followed, -1 for none
	}{
		{"idle, and the replica has one of its own", "mysql", []look{{a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}}, -1},
		{"which lags, too", "mysql", []look{{a + "1-100", a + "1-90," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}}, -1},
		{"cut off from its successor", "mysql", []look{{a + "1-100", a + "1-100"}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1-2"}}, 2},
		{"whose clients soon stop", "mysql", []look{{a + "1-100", a + "1-100"}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}}, 2},
		{"a replica that stands still", "mysql", []look{{a + "1-50", a + "1-50"}, {a + "1-50", a + "1-60"}, {a + "1-50", a + "1-60"}}, 2},
		{"which was behind all the time", "mysql", []look{{a + "1-50", a + "1-60"}, {a + "1-50", a + "1-70"}, {a + "1-50", a + "1-70"}}, 2},
		{"which only lags", "mysql", []look{{a + "1-50", a + "1-60"}, {a + "1-60", a + "1-70"}, {a + "1-70", a + "1-80"}}, -1},
		{"which lagged before", "mysql", []look{{a + "1-40", a + "1-60"}, {a + "1-50", a + "1-70"}, {a + "1-50", a + "1-70"}}, 2},
		{"not idle before, and the replica has one of its own", "mysql", []look{{a + "1-90", a + "1-80," + b + "1"}, {a + "1-100", a + "1-90," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}}, -1},
		{"the other lacks some", "mysql", []look{{a + "1-100", a + "1-90"}, {a + "1-100", a + "1-90," + b + "1"}, {a + "1-100", a + "1-90," + b + "1"}}, -1},
		{"the other did not answer then", "mysql", []look{{a + "1-100", ""}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}}, 2},
		{"no answer in between", "mysql", []look{{a + "1-100", a + "1-100"}, {"", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}, {a + "1-100", a + "1-100," + b + "1"}}, 3},
		{"MariaDB, a domain of the replica's own", "mariadb", []look{{"0-1-100", "0-1-100,7-2-1"}, {"0-1-100", "0-1-100,7-2-1"}, {"0-1-100", "0-1-100,7-2-1"}}, -1},
		{"MariaDB, in the common domain", "mariadb", []look{{"0-1-100", "0-1-100,0-2-101"}, {"0-1-100", "0-1-100,0-2-101"}, {"0-1-100", "0-1-100,0-2-101"}}, -1},
		{"MariaDB, cut off", "mariadb", []look{{"0-1-100", "0-1-100"}, {"0-1-100", "0-1-100,0-2-101"}, {"0-1-100", "0-1-100,0-2-101"}}, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &servers{}
			var before []Position
			for i, l := range c.looks {
				now := []Position{{Flavor: c.flavor, GTIDs: l.followed}, {Flavor: c.flavor, GTIDs: l.other}}
				if other := s.overtaken(before, now); (other == 1) != (i == c.want) {
					t.Errorf("look %d: the server to be followed is %d, want the other one at look %d", i, other, c.want)
				}
				before = now
			}
		})
	}
}
