package servers

import (
	"testing"
)

func TestTry(t *testing.T) {
	for _, k := range []Kind{MariaDB, MySQL} {
		s, err := Start(t.Context(), k, Options{Logf: t.Logf})
		if err != nil {
			t.Error(err)
			continue
		}
		t.Log(s.Address(), s.Version(), s.PID())
		s.Close()
	}
}
