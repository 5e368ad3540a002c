// Package snapshotbar shows the snapshots of a relay as a progress bar in a terminal.
package snapshotbar

import (
	"io"
	"sync"

	"github.com/schollz/progressbar/v3"

	"github.com/millrace-go/millrace/cdc"
)

// Bar is one bar for all tables: the rows read so far, of those that the server estimates, how fast it goes, and when it will be done. It appears with the
// first chunk, so a relay that has nothing to read shows none. It is safe for concurrent use.
type Bar struct {
	out io.Writer

	mu     sync.Mutex
	bar    *progressbar.ProgressBar
	tables map[string]cdc.SnapshotInfo
}

// New returns a bar that is drawn on out: os.Stderr, as a rule.
func New(out io.Writer) *Bar { return &Bar{out: out, tables: map[string]cdc.SnapshotInfo{}} }

// Show takes what [cdc.Hooks].Snapshot tells.
func (b *Bar) Show(i cdc.SnapshotInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i.Complete {
		if b.bar != nil {
			_ = b.bar.Finish() // a terminal that is gone
			b.bar, b.tables = nil, map[string]cdc.SnapshotInfo{}
		}
		return
	}
	b.tables[i.Schema+"."+i.Table+" "+i.Request] = i
	var rows, all uint64
	for _, t := range b.tables {
		rows += t.Rows
		if t.Done { // the estimate was one
			all += t.Rows
		} else {
			all += max(t.Estimate, t.Rows+1)
		}
	}
	full := max(int64(all), int64(rows)+1) // when everything is complete
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(full, progressbar.OptionSetWriter(b.out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("rows"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionOnCompletion(func() { _, _ = io.WriteString(b.out, "\n") }))
	}
	b.bar.Describe(i.Schema + "." + i.Table)
	b.bar.ChangeMax64(full)
	_ = b.bar.Set64(int64(rows))
}
