package environ

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

func TestSettings(t *testing.T) {
	t.Setenv("KILLS", "7")
	t.Setenv("SEED", "")
	t.Setenv("DB", "mysql")
	var s Settings
	var kills, seed int
	s.Number(&kills, "KILLS", 50, "how often")
	s.Number(&seed, "SEED", 3, "of what")
	if kills != 7 || seed != 3 || !slices.Equal(s.Databases(), []servers.Kind{servers.MySQL}) || len(s.problems) > 0 {
		t.Errorf("kills %d, seed %d, problems %v", kills, seed, s.problems)
	}
	for _, name := range []string{"KILLS", "SEED", "DB"} {
		if !strings.Contains(s.usages.String(), "  "+name+"  ") {
			t.Errorf("the usage lacks %s:\n%s", name, &s.usages)
		}
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	t.Setenv("KILLS", "many")
	t.Setenv("SEED", "-1")
	t.Setenv("DB", "oracle")
	var s Settings
	var n int
	s.Number(&n, "KILLS", 50, "")
	s.Number(&n, "SEED", 3, "")
	s.Databases()
	if len(s.problems) != 3 {
		t.Errorf("problems are %v, want three", s.problems)
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		parts, args, want []string
		fails             bool
	}{
		{nil, nil, nil, false},
		{nil, []string{"x"}, nil, true},
		{[]string{"a", "b"}, nil, []string{"a", "b"}, false},
		{[]string{"a", "b"}, []string{"b"}, []string{"b"}, false},
		{[]string{"a", "b"}, []string{"b", "c"}, []string{"b", "c"}, true},
	} {
		var s Settings
		var got []string
		if c.parts != nil {
			s.Parts(&got, c.parts...)
		}
		if err := s.arguments(c.args); (err != nil) != c.fails || !slices.Equal(got, c.want) {
			t.Errorf("parts %q, arguments %q: got %q, %v", c.parts, c.args, got, err)
		}
	}
}

func TestDurationSeedVerbose(t *testing.T) {
	t.Setenv("STOP", "90")
	t.Setenv("SEED", "7")
	t.Setenv("VERBOSE", "1")
	var s Settings
	var stop time.Duration
	var seed uint64
	var log io.Writer
	s.Duration(&stop, "STOP", 1, time.Second, "")
	s.Seed(&seed, "")
	s.Verbose(&log, "")
	if stop != 90*time.Second || seed != 7 || log != os.Stderr || len(s.problems) > 0 {
		t.Errorf("stop %v, seed %d, log %v, problems %v", stop, seed, log, s.problems)
	}
}
