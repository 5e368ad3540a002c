package exactlyonce

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// A seed is the same faults in the same order, and another seed others.
func TestPlanFollowsFromTheSeed(t *testing.T) {
	one, again, other := fmt.Sprint(plan(7, 50)), fmt.Sprint(plan(7, 50)), fmt.Sprint(plan(8, 50))
	if one != again {
		t.Error("the same seed makes another plan")
	}
	if one == other {
		t.Error("another seed makes the same plan")
	}
}

// Fifty kills reach each kind of fault, and two seeds, an even and an odd one, each step of the protocol, before and after.
func TestPlanReachesEverything(t *testing.T) {
	for seed := range uint64(20) {
		kinds := map[string]int{}
		for _, f := range plan(seed, 50) {
			kinds[f.kind]++
		}
		for _, kind := range []string{killRelay, killStarting, zombie, usurp, takeover, pauseRelay, lostReplies, killNode, pauseNode, fillNode, killDatabase, stopDatabase,
			pauseDatabase, network} {
			if kinds[kind] == 0 {
				t.Errorf("seed %d has no %q", seed, kind)
			}
		}
	}
	steps := map[string]bool{}
	for seed := range uint64(2) {
		for _, f := range plan(seed, 50) {
			steps[f.step] = true
		}
	}
	for _, step := range both(slices.Concat(startSteps, runSteps, topicSteps, []string{tailStep})) {
		if !steps[step] {
			t.Errorf("two seeds do nothing at step %s", step)
		}
	}
}

func TestPlanCounts(t *testing.T) {
	list := plan(1, 50)
	kills := 0
	for _, f := range list {
		if f.isKill() {
			kills++
		}
	}
	if len(list) != 75 || kills < 48 {
		t.Errorf("%d faults, %d of them kills", len(list), kills)
	}
	for n, f := range probes() {
		if list[n] != f {
			t.Errorf("fault %d is %v, want %v: what is made for one safeguard comes first", n+1, list[n], f)
		}
	}
}

// A run in which too little happened shows nothing, and says so; and so does one in which something is wrong.
func TestReportProblems(t *testing.T) {
	cfg := &Config{Kind: servers.MySQL, Seed: 7, Kills: 50, Changes: 1000}
	good := Report{Faults: 75, Kills: 49, Tails: 3, Fenced: 5}
	good.Changes = 1200
	if err := good.problems(cfg); err != nil {
		t.Fatalf("enough happened: %v", err)
	}
	for what, spoil := range map[string]func(r *Report){
		"changes":        func(r *Report) { r.Changes = 999 },
		"kills":          func(r *Report) { r.Kills = 40 },
		"tails finished": func(r *Report) { r.Tails = 0 },
		"relays fenced":  func(r *Report) { r.Fenced = 1 },
		"SEED=7":         func(r *Report) { r.Duplicated = 1 },
		"torn 1":         func(r *Report) { r.Torn = 1 },
		"ahead 1":        func(r *Report) { r.Ahead = 1 },
	} {
		r := good
		spoil(&r)
		if err := r.problems(cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error is %v", what, err)
		}
	}
	if _, err := Run(t.Context(), nil, Config{Kind: servers.Kafka, Kills: 2, Changes: -1}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("settings that are wrong: error is %v, want three problems", err)
	}
}
