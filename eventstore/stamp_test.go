package eventstore_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-go/millrace/eventstore"
)

type numbered struct {
	CSN eventstore.CSN
	ID  string
}

func TestStampRuns(t *testing.T) {
	const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	tests := []struct {
		name string
		in   []numbered
		want []eventstore.Run
	}{
		{"contiguous", []numbered{{1, uuid + ":9"}, {2, uuid + ":10"}, {3, uuid + ":11"}}, []eventstore.Run{{First: 1, Count: 3, ID: uuid + ":9"}}},
		{"mariadb", []numbered{{7, "0-1-99"}, {8, "0-1-100"}}, []eventstore.Run{{First: 7, Count: 2, ID: "0-1-99"}}},
		{"another domain", []numbered{{7, "0-1-99"}, {8, "1-1-100"}}, []eventstore.Run{{First: 7, Count: 1, ID: "0-1-99"}, {First: 8, Count: 1, ID: "1-1-100"}}},
		{"tag", []numbered{{1, uuid + ":blue:1"}, {2, uuid + ":blue:2"}, {3, uuid + ":3"}}, []eventstore.Run{{First: 1, Count: 2, ID: uuid + ":blue:1"}, {First: 3, Count: 1, ID: uuid + ":3"}}},
		{"gap in csn", []numbered{{1, "0-1-1"}, {3, "0-1-2"}}, []eventstore.Run{{First: 1, Count: 1, ID: "0-1-1"}, {First: 3, Count: 1, ID: "0-1-2"}}},
		{"gap in id", []numbered{{1, "0-1-1"}, {2, "0-1-3"}}, []eventstore.Run{{First: 1, Count: 1, ID: "0-1-1"}, {First: 2, Count: 1, ID: "0-1-3"}}},
		{"leading zeros", []numbered{{1, "f:009"}, {2, "f:010"}}, []eventstore.Run{{First: 1, Count: 1, ID: "f:009"}, {First: 2, Count: 1, ID: "f:010"}}},
		{"no number", []numbered{{1, "a"}, {2, "b:"}, {3, "c:x"}}, []eventstore.Run{{First: 1, Count: 1, ID: "a"}, {First: 2, Count: 1, ID: "b:"}, {First: 3, Count: 1, ID: "c:x"}}},
		{"end of numbers", []numbered{{1, "a:18446744073709551615"}, {2, "a:0"}}, []eventstore.Run{{First: 1, Count: 1, ID: "a:18446744073709551615"}, {First: 2, Count: 1, ID: "a:0"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s eventstore.Stamp
			for _, n := range tt.in {
				s.Add(n.CSN, n.ID)
			}
			if diff := cmp.Diff(tt.want, s.Runs); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			var out []numbered
			for csn, id := range s.All() {
				out = append(out, numbered{csn, id})
			}
			if diff := cmp.Diff(tt.in, out); diff != "" {
				t.Errorf("All (-want +got):\n%s", diff)
			}
			if got, want := s.Last(), tt.in[len(tt.in)-1].CSN; got != want {
				t.Errorf("Last = %d, want %d", got, want)
			}
		})
	}
}

// Whatever the ids are, a stamp gives back what was added.
func FuzzStamp(f *testing.F) {
	f.Add("a:1", "a:2", "a:3", uint8(1))
	f.Add("0-1-9", "0-1-10", "0-1-11", uint8(1))
	f.Add("x:08", "x:9", "-", uint8(2))
	f.Fuzz(func(t *testing.T, a, b, c string, step uint8) {
		var s eventstore.Stamp
		var in, out []string
		csn := eventstore.CSN(1)
		for _, id := range []string{a, b, c} {
			s.Add(csn, id)
			in = append(in, fmt.Sprint(csn, id))
			csn += eventstore.CSN(step%3) + 1
		}
		for csn, id := range s.All() {
			out = append(out, fmt.Sprint(csn, id))
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Error(diff)
		}
	})
}

func ExampleStamp_Add() {
	var s eventstore.Stamp
	s.Add(41, "0-1-270")
	s.Add(42, "0-1-271")
	s.Add(43, "0-1-272")
	fmt.Println(len(s.Runs), s.Runs[0])
	for csn, id := range s.All() {
		fmt.Println(csn, id)
	}
	// Output:
	// 1 {41 3 0-1-270}
	// 41 0-1-270
	// 42 0-1-271
	// 43 0-1-272
}
