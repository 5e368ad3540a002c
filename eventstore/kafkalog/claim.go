package kafkalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/reclaim"
)

// claim stands in a record instead of a value that is too large, as JSON. The value is in the blob store under its hash, so it is
// put there again by a successor without harm.
type claim struct {
	Blob string `json:"blob"` // SHA-256 of the value, hexadecimal
	Size int    `json:"size"`
}

// claimBytes is more than a claim has.
const claimBytes = 128

// errNoBlobs says that a log cannot be read without its blob store.
var errNoBlobs = errors.New("the value is in a blob store: set Config.Blobs to the one that the writer has")

// putClaims puts the values that are too large for a record into the blob store, before anything of the flush is sent.
func (w *writer) putClaims(ctx context.Context, f *eventstore.Flush) error {
	for _, i := range w.flush.tooLarge {
		r := &f.Records[i]
		sum := sha256.Sum256(r.Value)
		c := claim{hex.EncodeToString(sum[:]), len(r.Value)}
		if err := w.log.cfg.Blobs.Put(ctx, c.Blob, r.Value); err != nil {
			return unavailable(fmt.Errorf("put the value of csn %d index %d of topic %s, %d bytes, into the blob store: %w", r.CSN, r.Index, r.Topic, c.Size, err))
		}
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		w.flush.claims = append(w.flush.claims, text)
	}
	return nil
}

// claimed returns the claim that stands for the value of the flush's record i, nil where the value itself does.
func (f *flushBuffers) claimed(i int) []byte {
	if len(f.tooLarge) == 0 || f.tooLarge[0] != i {
		return nil
	}
	text := f.claims[0]
	f.tooLarge, f.claims = f.tooLarge[1:], f.claims[1:]
	return text
}

// redeem reads the value that a record has a claim for. It is valid until the next one.
func (r *reader) redeem(ctx context.Context, c *cursor) error {
	where := fmt.Sprintf("%s/%d offset %d", c.topic, c.number, c.rec.offset)
	var of claim
	if err := json.Unmarshal(c.rec.value, &of); err != nil {
		return fmt.Errorf("%w: the claim at %s: %w", eventstore.ErrLogMismatch, where, err)
	}
	if r.log.cfg.Blobs == nil {
		return fmt.Errorf("%s: %w", where, errNoBlobs)
	}
	if cap(r.blob) > batchBytes && of.Size < cap(r.blob)/2 {
		n := cap(r.blob)
		r.blob, r.out.Value = nil, nil
		reclaim.Dropped(n)
	}
	err := r.log.client.retry(ctx, "blob of "+where, func(ctx context.Context) (err error) {
		r.blob, err = r.log.cfg.Blobs.Get(ctx, of.Blob, r.blob)
		return err
	})
	if err != nil {
		return err
	}
	if sum, want := sha256.Sum256(r.blob), of.Blob; len(r.blob) != of.Size || hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("%w: %s: the blob store has another value, of %d bytes, want %d", eventstore.ErrLogMismatch, where, len(r.blob), of.Size)
	}
	c.rec.value = r.blob
	return nil
}
