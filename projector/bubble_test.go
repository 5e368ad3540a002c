package projector_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs f in fake time.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// pause lets up to half a second of a bubble's time go by.
func pause(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond) }
