package projector_test

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/projector"
)

func ExampleNewVersion() {
	v, err := projector.NewVersion(2, 1_000_000)
	fmt.Println(v.Generation(), v.CSN(), err)
	// Output: 2 1000000 <nil>
}

// TestVersionFits: the largest version is an integer that a float64 holds exactly, and anything beyond is refused.
func TestVersionFits(t *testing.T) {
	top, err := projector.NewVersion(1<<9-1, 1<<44-1)
	if err != nil || uint64(float64(top)) != uint64(top) || top >= 1<<53 {
		t.Errorf("largest version %d, %v", top, err)
	}
	if _, err := projector.NewVersion(1<<9, 1); err == nil {
		t.Error("generation 512 is accepted")
	}
	if _, err := projector.NewVersion(1, 1<<44); err == nil {
		t.Error("csn 2^44 is accepted")
	}
}
