package exactlyonce

import (
	"testing"

	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// TestMemberReplaced: a relay counts as replaced from when it learns of a successor until it dies; one that stands by goes on by itself.
func TestMemberReplaced(t *testing.T) {
	for _, standing := range []bool{false, true} {
		var changed supervise.Pulse
		m := &member{changed: &changed, running: true, standing: standing}
		for _, step := range []struct {
			line              string
			running, replaced bool
		}{
			{`{"kind":"began"}`, true, false},
			{`{"kind":"fenced"}`, false, !standing},
			{`{"kind":"retry"}`, false, !standing},
			{`{"kind":"ready"}`, false, false},
		} {
			m.heard([]byte(step.line))
			if now := m.counts(); now.running != step.running || now.replaced != step.replaced {
				t.Errorf("standing by %t, after %s: running %t, replaced %t", standing, step.line, now.running, now.replaced)
			}
		}
	}
}
