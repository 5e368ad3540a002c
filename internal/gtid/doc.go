// Package gtid holds sets of global transaction ids as MySQL and MariaDB write them. It is shared by the capturing side, which
// adds to a set transaction by transaction, and by readers, which ask whether a write is part of a watermark's set.
//
// A MySQL set is a union of intervals per server uuid (and tag, from 8.3 on): "uuid:1-5:7,uuid:tag:1-3". A MariaDB position is
// one GTID per replication domain, domain-server-sequence, and means everything of that domain up to it: "0-1-270,1-2-9".
package gtid
