// Package demo runs the whole line of the example in one command: a database, Kafka, a sink, the relay, the projectors, the load and the page; and,
// when asked, kills some of it and checks that nothing came to harm.
//
// # Processes
//
// The supervisor starts everything and ends everything. It holds the in-process Kafka and the sink in memory, behind loopback, and the load. The
// relay and the projectors are processes of their own, the same program with another first argument ([Child]), so that killing one kills only it.
// They get their configuration as a line of JSON on standard input, and report what happens as lines of JSON on standard output. When
// standard input ends they drain and exit: so they end with the supervisor, however that ends. Database, Kafka and sinks are servers of this
// run alone, killed by the kernel when the supervisor dies.
//
// Each program logs in as its own account with the rights it needs: the relay may read the binlog, the load may change rows, the check may read them. The
// projectors have no account: they make documents from the log alone, and keep its rows in a folder that goes with the run.
package demo
