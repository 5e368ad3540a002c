// Package projector tests read models on real databases: that a Query's loader never sees less than what was read of the log, and that
// its documents equal one SQL query, whatever moves, and whenever the process ends.
package projector
