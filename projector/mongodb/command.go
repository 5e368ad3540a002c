package mongodb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/millrace-go/millrace/internal/safeguard"
	"github.com/millrace-go/millrace/projector"
)

// run performs a command on the primary and returns the reply.
func (s *Sink) run(ctx context.Context, step string, command any) (bson.Raw, error) {
	raw, err := s.runRaw(ctx, command)
	return raw, commandError(ctx, step, err)
}

// runRaw returns the driver's error.
func (s *Sink) runRaw(ctx context.Context, command any) (bson.Raw, error) {
	bounded, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.db.RunCommand(bounded, command).Raw()
}

// majority is the write concern of every write.
func (s *Sink) majority() bson.D {
	return bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: s.cfg.Timeout.Milliseconds()}}
}

// A writeCommand is an unordered update or insert command under construction, written as BSON by hand: encoding a million documents by
// reflection costs more than everything else here.
type writeCommand struct {
	buf   []byte
	array int // start of the array of updates or documents
	n     int // of them
}

// newUpdateCommand begins an update command on a collection. A nil uuid leaves out the check that it is that very collection.
func newUpdateCommand(collection string, uuid *bson.Binary, timeout time.Duration) *writeCommand {
	return newWriteCommand("update", "updates", collection, uuid, timeout)
}

func newInsertCommand(collection string, uuid *bson.Binary, timeout time.Duration) *writeCommand {
	return newWriteCommand("insert", "documents", collection, uuid, timeout)
}

func newWriteCommand(command, array, collection string, uuid *bson.Binary, timeout time.Duration) *writeCommand {
	c := &writeCommand{}
	c.buf = append(c.buf, 0, 0, 0, 0)
	c.buf = appendString(c.buf, command, collection)
	c.buf = appendBool(c.buf, "ordered", false)
	if uuid != nil {
		c.buf = appendBinary(c.buf, "collectionUUID", *uuid)
	}
	var at int
	c.buf, at = openDocument(c.buf, typeDocument, "writeConcern")
	c.buf = appendString(c.buf, "w", "majority")
	c.buf = appendInt64(c.buf, "wtimeout", timeout.Milliseconds())
	c.buf = closeDocument(c.buf, at)
	c.buf, c.array = openDocument(c.buf, typeArray, array)
	return c
}

// Ways to compare the stored version with a write's: the stored document stays if it holds.
const (
	keepIfNotOlder = "$gte"
	keepIfNewer    = "$gt"
)

// insert appends a document to an insert command.
func (c *writeCommand) insert(id string, version int64, body []byte) error {
	before := len(c.buf)
	buf, err := appendDocument(appendName(c.buf, typeDocument, strconv.Itoa(c.n)), id, version, body)
	if err != nil {
		c.buf = c.buf[:before]
		return err
	}
	c.buf = buf
	c.n++
	return nil
}

// add appends the update that puts a document in place of the one with that id, or in the place where none is, unless keep holds for the
// stored version. appendNew appends the fields of the new document's expression.
//
//	{q: {_id: id}, u: [{$replaceWith: {$cond: [{keep: ["$_v", version]}, "$$ROOT", new]}}], upsert: true}
//
// A missing _v compares lower than any number.
func (c *writeCommand) add(id string, version int64, keep string, appendNew func(dst []byte, name string) ([]byte, error)) error {
	before := len(c.buf)
	limit := version
	if !safeguard.NewerWins {
		limit = math.MaxInt64 // nothing stored has it
	}
	buf, update := openDocument(c.buf, typeDocument, strconv.Itoa(c.n))
	buf, q := openDocument(buf, typeDocument, "q")
	buf = appendString(buf, idField, id)
	buf = closeDocument(buf, q)
	buf, pipeline := openDocument(buf, typeArray, "u")
	buf, stage := openDocument(buf, typeDocument, "0")
	buf, replace := openDocument(buf, typeDocument, "$replaceWith")
	buf, cond := openDocument(buf, typeArray, "$cond")
	buf, compare := openDocument(buf, typeDocument, "0")
	buf, operands := openDocument(buf, typeArray, keep)
	buf = appendString(buf, "0", "$"+versionField)
	buf = appendInt64(buf, "1", limit)
	buf = closeDocument(buf, operands)
	buf = closeDocument(buf, compare)
	buf = appendString(buf, "1", "$$ROOT")
	buf, err := appendNew(buf, "2")
	if err != nil {
		c.buf = c.buf[:before]
		return err
	}
	for _, start := range []int{cond, replace, stage, pipeline} {
		buf = closeDocument(buf, start)
	}
	buf = appendBool(buf, "upsert", true)
	c.buf = closeDocument(buf, update)
	c.n++
	return nil
}

// takeBack removes the last update or document, before which the command had that many bytes.
func (c *writeCommand) takeBack(bytes int) {
	c.buf = c.buf[:bytes]
	c.n--
}

// finish returns the command. Nothing can be added to it then.
func (c *writeCommand) finish() bson.Raw {
	c.buf = closeDocument(c.buf, c.array)
	return closeDocument(c.buf, 0)
}

// literal is the expression for a document as it is: dollar signs in it mean nothing.
func literal(id string, version int64, body []byte) func([]byte, string) ([]byte, error) {
	return func(dst []byte, name string) ([]byte, error) {
		dst, at := openDocument(dst, typeDocument, name)
		dst = appendName(dst, typeDocument, "$literal")
		dst, err := appendDocument(dst, id, version, body)
		if err != nil {
			return nil, err
		}
		return closeDocument(dst, at), nil
	}
}

// tombstone is the expression for a deleted document. Its time is the server's, whose TTL thread reads it.
func tombstone(version int64) func([]byte, string) ([]byte, error) {
	return func(dst []byte, name string) ([]byte, error) {
		dst, at := openDocument(dst, typeDocument, name)
		dst = appendString(dst, idField, "$"+idField)
		dst, v := openDocument(dst, typeDocument, versionField)
		dst = appendInt64(dst, "$literal", version)
		dst = closeDocument(dst, v)
		dst = appendString(dst, goneField, "$$NOW")
		return closeDocument(dst, at), nil
	}
}

// writeReply is what an update command answers: how many documents matched or were created, how many of the matched ones changed,
// which updates created one, and which failed. An insert command answers how many were created, and which failed.
type writeReply struct {
	N         int `bson:"n"`
	NModified int `bson:"nModified"`
	Upserted  []struct {
		Index int `bson:"index"`
	} `bson:"upserted"`
	WriteErrors []struct {
		Index      int      `bson:"index"`
		Code       int      `bson:"code"`
		KeyPattern bson.Raw `bson:"keyPattern"`
	} `bson:"writeErrors"`
	WriteConcernError *struct {
		Code     int    `bson:"code"`
		CodeName string `bson:"codeName"`
	} `bson:"writeConcernError"`
}

// write sends a command. An error means that nothing is known of its updates or documents.
func (s *Sink) write(ctx context.Context, step string, c *writeCommand) (writeReply, error) {
	var reply writeReply
	raw, err := s.runRaw(ctx, c.finish())
	if _, ok := errors.AsType[mongo.WriteException](err); ok {
		err = nil // the reply has the same in a better form
	}
	if server, ok := errors.AsType[mongo.CommandError](err); ok && server.Code != 0 {
		server.Message = server.Name // the message may quote a document
		err = server
	}
	if err != nil {
		return reply, commandError(ctx, step, err)
	}
	if err := bson.Unmarshal(raw, &reply); err != nil {
		return reply, fmt.Errorf("mongodb: %s: reply: %w", step, err)
	}
	if e := reply.WriteConcernError; e != nil {
		return reply, fmt.Errorf("mongodb: %s: not acknowledged by a majority: %w: %s (code %d)", step, projector.ErrUnavailable, e.CodeName, e.Code)
	}
	if reply.N+len(reply.WriteErrors) != c.n {
		return reply, fmt.Errorf("mongodb: %s: the reply counts %d of %d writes: %w", step, reply.N+len(reply.WriteErrors), c.n, projector.ErrUnavailable)
	}
	return reply, nil
}

// findVersions reads the versions of documents by id, those that exist.
func (s *Sink) findVersions(ctx context.Context, collection string, uuid bson.Binary, ids []string) (map[string]int64, error) {
	raw, err := s.find(ctx, collection, uuid, bson.D{{Key: idField, Value: bson.D{{Key: "$in", Value: ids}}}}, bson.D{{Key: versionField, Value: 1}}, len(ids))
	if err != nil {
		return nil, err
	}
	versions := make(map[string]int64, len(raw))
	for _, r := range raw {
		id, _ := r.Lookup(idField).StringValueOK()
		if v, ok := r.Lookup(versionField).AsInt64OK(); ok {
			versions[id] = v
		}
	}
	return versions, nil
}

// find reads up to n documents from that very collection, in one reply.
func (s *Sink) find(ctx context.Context, collection string, uuid bson.Binary, filter, projection bson.D, n int) ([]bson.Raw, error) {
	command := bson.D{
		{Key: "find", Value: collection}, {Key: "collectionUUID", Value: uuid}, {Key: "filter", Value: filter},
		{Key: "limit", Value: n}, {Key: "batchSize", Value: n}, {Key: "singleBatch", Value: true},
	}
	if projection != nil {
		command = append(command, bson.E{Key: "projection", Value: projection})
	}
	raw, err := s.runRaw(ctx, command)
	if hasCode(err, codeUUIDMismatch) {
		return nil, errDropped(collection)
	}
	if err != nil {
		return nil, commandError(ctx, "read from "+collection, err)
	}
	var reply struct {
		Cursor struct {
			FirstBatch []bson.Raw `bson:"firstBatch"`
		} `bson:"cursor"`
	}
	if err := bson.Unmarshal(raw, &reply); err != nil {
		return nil, fmt.Errorf("mongodb: read from %s: reply: %w", collection, err)
	}
	return reply.Cursor.FirstBatch, nil
}
