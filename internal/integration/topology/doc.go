// Package topology shows what becomes of the log when the servers of a source change: a primary with two replicas, a relay that knows all
// three by name, load, and everything that happens to servers in their lives ([Run]). `make verify-topology` runs it.
//
// What must be in the log is told by two witnesses that share no code with the library: the binlog of the server that is the primary in
// the end, as the server's own tool prints it, and the clients, each of which keeps what it saw committed.
package topology
