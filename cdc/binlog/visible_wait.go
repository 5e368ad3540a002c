//go:build !millrace_nowait

package binlog

// waits: chunks wait on MySQL until what was delivered is visible. Without it (build tag millrace_nowait) rows come too old into the
// log, which is how `make verify-snapshot` shows that it can find that.
const waits = true
