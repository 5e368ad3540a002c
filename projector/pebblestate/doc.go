// Package pebblestate keeps the local states of joins on disk, in pebble: a [projector.LocalStates] for read models whose rows do not fit
// into memory, or that are to go on at once after a restart.
//
// A state is a directory of its own under the one that [New] is given. It is a cache of the log: it may be removed at any time while it is not
// open, and is built anew then. Nothing is synced and no write-ahead log is kept; after a crash a state is as some commit has left it, and the
// projector reads the log on from there. What cannot be read is [projector.ErrStateLost]. A disk that fails while pebble writes its list of
// files (MANIFEST) ends the process with a panic: pebble has no other way to stop what it does in the background.
package pebblestate
