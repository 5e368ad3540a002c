// Package exactlyonce kills, stops and cuts off everything that a pipeline is made of, and checks that the log has each committed change once, in commit
// order, whole, and no watermark ahead of it: `make verify-exactly-once`.
//
// [StartBrokers] starts three Kafka nodes with a proxy before each listener, also before those by which the nodes speak to one another. [Run]
// starts a private database server and two relays, each in a process of its own with networks of its own, of which one is told to relay. A load
// commits transactions; meanwhile the faults of a plan happen, one after the other: relays are killed at any moment and at each step of the
// protocol, stopped and woken up when another one has taken over, before and behind the fence; brokers and database are killed, stopped and shut down;
// connections are slow, cut, half open, refused, and lose replies after the append. The plan follows from the seed alone: a seed that fails is run
// again (moments within a flush remain those of the machine).
//
// At the end an independent client reads the log and all its watermarks, and [history.Judge] compares them with the server's own binlog, with what the
// clients were told, and with the tables.
//
// The plan begins with a fault for each of the protocol's safeguards: with one of these switched off, which takes a build tag, the run must fail.
package exactlyonce
