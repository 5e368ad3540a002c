package projector_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// circles are joins that read without end where the rows go round in a circle, each in a way of its own. A row's owner is its parent, 0 is none.
func circles() map[string]projector.Join[rowA, int, docA] {
	above := projector.BelongsTo(ownersA, ownersA, func(r *rowA) int { return r.Owner })
	below := projector.HasMany(ownersA, ownersA, func(r *rowA) int { return r.Owner })
	var part *projector.Part[rowA, docA]
	part = projector.NewPart(ownersA, func(v *projector.View, r *rowA) (*docA, error) {
		return &docA{N: r.N, Sum: part.All(v, below.Below(r)).Len()}, nil
	})
	var sum func(v *projector.View, r *rowA) int
	sum = func(v *projector.View, r *rowA) int {
		n := r.N
		for child := range below.Of(v, r) {
			n += sum(v, child)
		}
		return n
	}
	join := func(build func(v *projector.View, r *rowA) int, reads ...projector.Readable) projector.Join[rowA, int, docA] {
		return projector.Join[rowA, int, docA]{Name: "sums", Version: 1, Target: projector.MemoryTarget("sums"), Root: ownersA, Reads: reads,
			Build: func(v *projector.View, r *rowA) (*docA, error) { return &docA{r.N, build(v, r)}, nil }}
	}
	return map[string]projector.Join[rowA, int, docA]{
		"part":      join(func(v *projector.View, r *rowA) int { return part.All(v, below.Below(r)).Len() }, below, part),
		"recursion": join(sum, below),
		"chain": join(func(v *projector.View, r *rowA) (n int) {
			for up, found := r, true; found; up, found = above.Of(v, up) {
				n += up.N
			}
			return n
		}, above),
		"free": join(func(v *projector.View, r *rowA) (n int) {
			for up, found := r, true; found; up, found = ownersA.Get(v, up.Owner) {
				n += up.N
			}
			return n
		}, ownersA),
	}
}

// TestJoinCircle: rows that go round in a circle park the documents that would read without end: the others go on, progress in the sink stays below, whoever
// waits is told, a new process finds them again, with its local state or without, and they are made when the circle is broken.
func TestJoinCircle(t *testing.T) {
	row := func(id, parent, n int) projectortest.Change {
		return projectortest.Put("shop.owner", rowA{id, parent, n})
	}
	for name, join := range circles() {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprint(name, lost), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := newRig(t)
					config := projector.Config{Projectors: []projector.Projector{join}, States: projector.NewMemoryStates()}
					runner, stop := r.run(config)
					r.waitFor(runner, "sums", r.commit(row(1, 0, 1), row(2, 1, 2), row(3, 2, 4), row(9, 0, 8)))
					before := map[string]string{}
					for d := range r.sink.Each("sums") {
						before[d.ID] = string(d.Body)
					}
					circle := r.commit(row(1, 3, 1))
					parked := func() {
						t.Helper()
						if err := runner.WaitFor(t.Context(), "sums", r.feed.CSN()); !errors.Is(err, projector.ErrParked) || !errors.Is(err, projector.ErrTooDeep) {
							t.Fatalf("waiting: got %v, want ErrParked", err)
						}
						if s := runner.Status()[0]; s.Parked != 3 || s.Halted != nil || s.CSN != r.feed.CSN() {
							t.Errorf("while there is a circle: %+v", s)
						}
					}
					parked()
					r.commit(row(9, 0, 16))
					parked()
					before["9"] = map[bool]string{false: `{"N":16,"Sum":16}`, true: `{"N":16,"Sum":0}`}[name == "part"]
					r.want("sums", before)
					time.Sleep(2 * time.Second)
					if p, _, _ := r.sink.Progress(t.Context(), "sums"); p.CSN >= circle {
						t.Errorf("progress is %d, and documents of %d are not written", p.CSN, circle)
					}
					if err := stop(); err != nil {
						t.Fatal(err)
					}
					if lost {
						config.States = projector.NewMemoryStates()
					}
					runner, stop = r.run(config)
					r.commit()
					parked()
					r.want("sums", before)
					r.waitFor(runner, "sums", r.commit(row(2, 0, 32)))
					want := map[string]string{"1": `{"N":1,"Sum":37}`, "2": `{"N":32,"Sum":32}`, "3": `{"N":4,"Sum":36}`, "9": `{"N":16,"Sum":16}`} // 1 → 3 → 2
					switch name {
					case "part":
						want = map[string]string{"1": `{"N":1,"Sum":0}`, "2": `{"N":32,"Sum":1}`, "3": `{"N":4,"Sum":1}`, "9": `{"N":16,"Sum":0}`}
					case "recursion":
						want = map[string]string{"1": `{"N":1,"Sum":1}`, "2": `{"N":32,"Sum":37}`, "3": `{"N":4,"Sum":5}`, "9": `{"N":16,"Sum":16}`}
					}
					r.want("sums", want)
					time.Sleep(2 * time.Second)
					if p, _, _ := r.sink.Progress(t.Context(), "sums"); p.CSN != r.feed.CSN() {
						t.Errorf("progress is %d when all is written, want %d", p.CSN, r.feed.CSN())
					}
					if s := runner.Status()[0]; s.Parked != 0 || s.ParkedWhy != nil {
						t.Errorf("when the circle is broken: %+v", s)
					}
					if err := stop(); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	}
}

// TestJoinParkedUntilWritten: a document that was parked counts as such until it is written, however long a change of many documents waits.
func TestJoinParkedUntilWritten(t *testing.T) {
	row := func(id, parent, n int) projectortest.Change {
		return projectortest.Put("shop.owner", rowA{id, parent, n})
	}
	for _, spreadAbove := range []int{1, 100} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			join := circles()["chain"]
			join.SpreadAbove = spreadAbove
			gate := &gate{Sink: r.sink, at: make(chan []string), pass: make(chan error)}
			runner, stop := r.run(projector.Config{Projectors: []projector.Projector{join}, Sinks: []projector.Sink{gate}})
			r.commit(row(1, 0, 1), row(2, 1, 2), row(3, 2, 4))
			<-gate.at
			gate.pass <- nil
			circle := r.commit(row(1, 3, 1))
			if err := runner.WaitFor(t.Context(), "sums", circle); !errors.Is(err, projector.ErrParked) {
				t.Fatalf("waiting for the circle: got %v, want ErrParked", err)
			}
			broken := r.commit(row(2, 0, 32))
			<-gate.at // it is taken, and not written
			if err := runner.WaitFor(t.Context(), "sums", circle); !errors.Is(err, projector.ErrParked) {
				t.Errorf("spread above %d, waiting for the circle before its documents are written: got %v, want ErrParked", spreadAbove, err)
			}
			gate.pass <- nil
			r.waitFor(runner, "sums", broken)
			r.want("sums", map[string]string{"1": `{"N":1,"Sum":37}`, "2": `{"N":32,"Sum":32}`, "3": `{"N":4,"Sum":36}`})
			if s := runner.Status()[0]; s.Parked != 0 || s.ParkedWhy != nil {
				t.Errorf("when all are written: %+v", s)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
