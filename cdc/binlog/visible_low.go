//go:build !millrace_nolow

package binlog

// marksLow: chunks wait on MariaDB until what was delivered is committed, and say what that claims. Without it (build tag millrace_nolow)
// rows come too old into the log, which is how `make verify-snapshot` shows that it can find that.
const marksLow = true
