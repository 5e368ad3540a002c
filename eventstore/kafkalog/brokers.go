package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// Settings of brokers that the log relies on.
const (
	requestSetting       = "socket.request.max.bytes"
	producerSetting      = "producer.id.expiration.ms"
	transactionalSetting = "transactional.id.expiration.ms"
)

// requestOverhead is more than a produce request has beside a batch.
const requestOverhead = 4 << 10

// brokerDeviations finds out whether the brokers read a request with the largest record, for on a larger one they close the connection, which
// cannot be told from a broker that does not answer; and whether they remember producers for longer than a lease. A setting that a broker does not
// know is none of its.
func (l *Log) brokerDeviations(ctx context.Context) (deviations []Deviation, err error) {
	least := map[string]int64{
		requestSetting:       int64(l.cfg.MaxMessageBytes + requestOverhead),
		producerSetting:      (expirations * l.cfg.Lease).Milliseconds(),
		transactionalSetting: (expirations * l.cfg.Lease).Milliseconds(),
	}
	smaller := map[string]string{requestSetting: "MaxMessageBytes", producerSetting: "Lease", transactionalSetting: "Lease"}
	var brokers map[int32]map[string]string
	err = l.client.retry(ctx, "describe brokers", func(ctx context.Context) (err error) {
		brokers, err = l.client.brokerSettings(ctx, sortedKeys(least))
		return err
	})
	if errors.Is(err, kafka.ClusterAuthorizationFailed) {
		l.log.Warn("cannot see whether the brokers take the largest records and remember producers for long enough: the account may not describe their settings", "least", least)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, id := range sortedKeys(brokers) {
		for _, name := range sortedKeys(least) {
			has, known := brokers[id][name]
			if n, err := strconv.ParseInt(has, 10, 64); !known || err == nil && n >= least[name] {
				continue
			}
			deviations = append(deviations, Deviation{fmt.Sprintf("broker %d", id), name, has, fmt.Sprintf("at least %d", least[name]),
				fmt.Sprintf("%s=%d in its server.properties and a restart, or with a smaller %s", name, least[name], smaller[name])})
		}
	}
	return deviations, nil
}

// brokerSettings asks every broker for some of its settings.
func (c *client) brokerSettings(ctx context.Context, names []string) (map[int32]map[string]string, error) {
	cluster, err := send[*metadata.Response](ctx, c, &metadata.Request{TopicNames: []string{}})
	if err != nil {
		return nil, err
	}
	brokers := make(map[int32]map[string]string, len(cluster.Brokers))
	for _, b := range cluster.Brokers {
		res, err := send[*describeconfigs.Response](ctx, c, &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{
			ResourceType: int8(kafka.ResourceTypeBroker), ResourceName: strconv.Itoa(int(b.NodeID)), ConfigNames: names}}})
		if err != nil {
			return nil, err
		}
		settings := make(map[string]string)
		for _, r := range res.Resources {
			if r.ErrorCode != 0 {
				return nil, fmt.Errorf("broker %s: %w", r.ResourceName, kafka.Error(r.ErrorCode))
			}
			for _, e := range r.ConfigEntries {
				settings[e.ConfigName] = e.ConfigValue
			}
		}
		brokers[b.NodeID] = settings
	}
	return brokers, nil
}
