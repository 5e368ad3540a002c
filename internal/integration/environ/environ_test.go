package environ

import (
	"slices"
	"strings"
	"testing"

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
