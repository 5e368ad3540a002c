package binlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// searchTimeout bounds how long the server may look for the position in its files before it sends the first event.
const searchTimeout = time.Minute

// slowReader is how long a server may wait for a relay that does not read on because its log is slow: by itself it cuts the connection after
// 60 s (net_write_timeout).
const slowReader = 15 * time.Minute

// dump asks the server for everything behind the set gtids. From then on the connection carries events; see readEvent.
//
// It speaks the replica's part of the protocol itself, on go-mysql's connection: that package's BinlogSyncer always asks the server
// to leave out the checksums, so that damage in a binlog file or on the way would go unnoticed (docs/decisions/0005-binlog-protocol.md).
func (c *conn) dump(ctx context.Context, gtids string, serverID uint32) error {
	period := c.cfg.HeartbeatPeriod
	// One uuid for one id, so that the server recognises a second replica with the id and says so.
	uuid := fmt.Sprintf("6d696c6c-7261-4365-8000-0000%08x", serverID)
	settings := []string{
		"SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32'",
		fmt.Sprintf("SET @source_heartbeat_period = %d, @master_heartbeat_period = %d", period, period),
		fmt.Sprintf("SET SESSION net_write_timeout = %d", int(slowReader.Seconds())),
		fmt.Sprintf("SET @replica_uuid = '%s', @slave_uuid = '%s'", uuid, uuid),
	}
	if c.flavor == MariaDB {
		settings = append(settings,
			"SET @mariadb_slave_capability = 4",
			fmt.Sprintf("SET @slave_connect_state = '%s'", gtids), // parsed and printed again: it holds nothing but numbers
			"SET @slave_gtid_strict_mode = 1")
	}
	for _, s := range settings {
		if _, err := c.query(ctx, s); err != nil {
			return err
		}
	}
	if err := c.command(registerCommand(serverID)); err != nil {
		return streamError(err, c.cfg, serverID)
	}
	if _, err := c.ReadOKPacket(); err != nil {
		return streamError(err, c.cfg, serverID)
	}
	var data []byte
	if c.flavor == MariaDB {
		data = dumpCommand(serverID)
	} else {
		set, err := mysql.ParseMysqlGTIDSet(gtids)
		if err != nil {
			return fmt.Errorf("binlog dump: %w", err)
		}
		data = dumpGTIDCommand(serverID, set.Encode())
	}
	if err := c.command(data); err != nil {
		return streamError(err, c.cfg, serverID)
	}
	c.socket.timeout = searchTimeout
	return nil
}

// command sends a command; the first four bytes are the packet's head.
func (c *conn) command(data []byte) error {
	c.ResetSequence()
	return c.WritePacket(data)
}

func registerCommand(serverID uint32) []byte {
	const host = "millrace" // shown by SHOW REPLICAS
	data := append(make([]byte, 4), mysql.COM_REGISTER_SLAVE)
	data = binary.LittleEndian.AppendUint32(data, serverID)
	data = append(append(data, byte(len(host))), host...)
	data = append(data, 0, 0)               // user, password
	data = append(data, 0, 0)               // port
	return append(data, make([]byte, 8)...) // rank, the source's id
}

// dumpCommand asks for the binlog behind @slave_connect_state, which MariaDB puts in the place of file and offset.
func dumpCommand(serverID uint32) []byte {
	data := append(make([]byte, 4), mysql.COM_BINLOG_DUMP)
	data = binary.LittleEndian.AppendUint32(data, 4)
	data = binary.LittleEndian.AppendUint16(data, 0)
	return binary.LittleEndian.AppendUint32(data, serverID)
}

func dumpGTIDCommand(serverID uint32, set []byte) []byte {
	const heartbeatV2 = 2 // heartbeats that say where the server is in 64 bits; servers before 8.0.26 do not know it
	data := append(make([]byte, 4), mysql.COM_BINLOG_DUMP_GTID)
	data = binary.LittleEndian.AppendUint16(data, heartbeatV2)
	data = binary.LittleEndian.AppendUint32(data, serverID)
	data = binary.LittleEndian.AppendUint32(data, 0) // length of the file name
	data = binary.LittleEndian.AppendUint64(data, 4)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(set)))
	return append(data, set...)
}

// dumpFileCommand asks for a file from its beginning to its end.
func dumpFileCommand(serverID uint32, file string) []byte {
	const nonBlocking = 1
	data := append(make([]byte, 4), mysql.COM_BINLOG_DUMP)
	data = binary.LittleEndian.AppendUint32(data, 4)
	data = binary.LittleEndian.AppendUint16(data, nonBlocking)
	data = binary.LittleEndian.AppendUint32(data, serverID)
	return append(data, file...)
}

// readFile gives take the events of a binlog file, as long as it wants more, by a connection of its own. An event is valid until take returns.
func (c *conn) readFile(ctx context.Context, file string, take func(raw []byte) (more bool, err error)) error {
	d, err := connect(ctx, c.cfg)
	if err != nil {
		return err
	}
	defer d.socket.Close()
	stop := context.AfterFunc(ctx, func() { d.socket.Close() })
	defer stop()
	// Without the capability MariaDB makes other events of its GTIDs.
	if _, err := d.query(ctx, "SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32', @mariadb_slave_capability = 4"); err != nil {
		return err
	}
	if err := d.command(dumpFileCommand(randomID(), file)); err != nil {
		return streamError(err, c.cfg, 0)
	}
	buf := new(eventBuffer)
	for more := true; more; {
		if err := d.readEvent(buf); err != nil {
			return streamError(err, c.cfg, 0)
		}
		raw := buf.raw()
		if len(raw) < headerSize {
			return errShort
		}
		if more, err = take(raw); err != nil {
			return fmt.Errorf("read binlog file %s of %s: %w", file, c.cfg.Addr, err)
		}
	}
	return nil
}

// readEvent reads the next event into buf, behind one byte of the protocol; it empties buf first. Not cancelled by a context: close the connection.
func (c *conn) readEvent(buf *eventBuffer) error {
	buf.reset()
	if err := c.ReadPacketTo(buf); err != nil {
		return err
	}
	data := buf.data
	if len(data) == 0 {
		return errShort
	}
	switch data[0] {
	case mysql.OK_HEADER:
		return nil
	case mysql.ERR_HEADER:
		return c.HandleErrorPacket(data)
	case mysql.EOF_HEADER:
		return mysql.ErrBadConn // the server ends the stream
	}
	return fmt.Errorf("packet that begins with 0x%02x in the stream of events", data[0])
}
