// Package standby checks that one of several relays of a pipeline takes over when the one that leads is killed or stopped, and measures how long
// nobody appends.
package standby
