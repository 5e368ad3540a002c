package kafkalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/eventstore"
)

// An ordinary client in another library reads the log: keys, values, tombstones, headers, times, and the same partition for a key
// as its own producer would choose.
func TestOrdinaryClient(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		log := open(t, config(t, addrs, name))
		w := begin(t, log)
		mark(t, w, 0)
		f := everywhere(1)
		for i := range f.Records {
			if i%3 == 0 {
				f.Records[i].Value = nil
			}
			f.Records[i].Time = start(i)
		}
		if err := w.Append(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		mark(t, w, 1)
		head, _, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		c, adm := admin(t, addrs)
		route := kgo.StickyKeyPartitioner(nil).ForTopic("any") // murmur2, as the Java client
		place := make(map[int32]uint64)
		n := 0
		for _, r := range consume(t, c.Opts(), adm, name+".shop.stock") {
			var i uint64
			headers := make(map[string]string)
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			fmt.Sscan(headers["index"], &i)
			want := f.Records[i]
			if headers["csn"] != "1" || string(r.Key) != string(want.Key) || string(r.Value) != string(want.Value) || (r.Value == nil) != (want.Value == nil) || !r.Timestamp.Equal(want.Time) {
				t.Errorf("record %s of csn %s: key %s value %s (nil: %v) time %v, want %+v", headers["index"], headers["csn"], r.Key, r.Value, r.Value == nil, r.Timestamp, want)
			}
			if want := int32(route.Partition(r, 4)); r.Partition != want {
				t.Errorf("key %s is in partition %d, a client would choose %d", r.Key, r.Partition, want)
			}
			if last, ok := place[r.Partition]; ok && i <= last {
				t.Errorf("partition %d: index %d after %d", r.Partition, i, last)
			} else if !ok {
				if want := fmt.Sprintf(`{"log":%q,"runs":[{"csn":1,"n":1,"id":"0-1-1"}]}`, head.LogID); headers["stamp"] != want {
					t.Errorf("stamp %s, want %s", headers["stamp"], want)
				}
			}
			place[r.Partition] = i
			n++
		}
		if n != len(f.Records) {
			t.Errorf("%d records, want %d", n, len(f.Records))
		}

		var last struct {
			CSN  uint64             `json:"csn"`
			Log  string             `json:"log"`
			Ends map[string][]int64 `json:"ends"`
		}
		if err := json.Unmarshal([]byte(lastValue(t, c, adm, name+".watermark")), &last); err != nil {
			t.Fatal(err)
		}
		ends := make([]int64, 4)
		for p, end := range head.Ends {
			ends[p.Number] = end
		}
		if diff := cmp.Diff(map[string][]int64{"shop.stock": ends}, last.Ends); diff != "" || last.CSN != 1 || last.Log != head.LogID {
			t.Errorf("watermark %+v of log %s; ends (-want +got):\n%s", last, head.LogID, diff)
		}
	})
}

// A topic whose name has no dot, or characters that Kafka does not take, is refused before anything is sent.
func TestTopicNames(t *testing.T) {
	name := pipeline()
	w := written(t, fake.addrs(t), name)
	for _, topic := range []string{"watermark", "stock", "shop.st ock", "shop.ström", "shop." + strings.Repeat("x", 250), ""} {
		f := everywhere(2)
		for i := range f.Records {
			f.Records[i].Topic = topic
		}
		if err := w.Append(t.Context(), f); err == nil {
			t.Errorf("topic %q: no error", topic)
		}
	}
	if err := w.Append(t.Context(), everywhere(2)); err != nil {
		t.Errorf("append after the refusals: %v", err)
	}
	mark(t, w, eventstore.CSN(2))
}
