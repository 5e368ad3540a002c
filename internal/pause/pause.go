// Package pause lets time pass for as long as somebody waits for what comes then.
package pause

import (
	"context"
	"time"
)

// For returns true when d has passed, and false as soon as ctx has ended.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
