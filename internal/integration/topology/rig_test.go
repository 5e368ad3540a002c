package topology

import (
	"errors"
	"testing"
)

// open opens a rig for the time of a test; must ends the test on an error.
func open(t *testing.T, cfg Config, nodes int) (r *rig, must func(errs ...error)) {
	t.Helper()
	r, err := newRig(t.Context(), cfg, nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return r, func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
}
