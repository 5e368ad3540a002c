package kafkalog

import (
	"io"
	"sync"

	"github.com/pierrec/lz4/v4"
	kafkalz4 "github.com/segmentio/kafka-go/compress/lz4"
)

// lz4Codec writes frames of 64 KiB blocks, as Kafka's own producer does. kafka-go's writer takes blocks of 4 MiB, and with them buffers
// of that size here and in every reader, however small a batch is.
type lz4Codec struct{ kafkalz4.Codec }

var lz4Writers = sync.Pool{New: func() any {
	w := lz4.NewWriter(nil)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
		panic(err) // a constant that the library refuses
	}
	return w
}}

// NewWriter implements compress.Codec.
func (lz4Codec) NewWriter(w io.Writer) io.WriteCloser {
	z := lz4Writers.Get().(*lz4.Writer)
	z.Reset(w)
	return &lz4Writer{z}
}

type lz4Writer struct{ *lz4.Writer }

// Close ends the frame. The writer must not be used afterwards.
func (w *lz4Writer) Close() error {
	err := w.Writer.Close()
	w.Reset(nil)
	lz4Writers.Put(w.Writer)
	return err
}
