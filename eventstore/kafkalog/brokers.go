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

const (
	requestSetting = "socket.request.max.bytes"
	// usualRequest is half of what a broker takes unless it is told otherwise.
	usualRequest = 50 << 20
	// requestOverhead is more than a produce request has beside a batch.
	requestOverhead = 4 << 10
)

// checkBrokers makes sure that the brokers read a request with the largest record: on a larger one they close the connection, which
// cannot be told from a broker that does not answer.
func (l *Log) checkBrokers(ctx context.Context) error {
	if l.cfg.MaxMessageBytes <= usualRequest {
		return nil
	}
	var limits map[int32]string
	err := l.client.retry(ctx, "describe brokers", func(ctx context.Context) (err error) {
		limits, err = l.client.requestLimits(ctx)
		return err
	})
	if errors.Is(err, kafka.ClusterAuthorizationFailed) {
		l.log.Warn("cannot see whether the brokers take the largest records: the account may not describe their settings",
			"setting", requestSetting, "want", l.cfg.MaxMessageBytes+requestOverhead)
		return nil
	}
	if err != nil {
		return err
	}
	var deviations []Deviation
	want := l.cfg.MaxMessageBytes + requestOverhead
	for _, id := range sortedKeys(limits) {
		if n, err := strconv.Atoi(limits[id]); err != nil || n < want {
			deviations = append(deviations, Deviation{fmt.Sprintf("broker %d", id), requestSetting, limits[id], fmt.Sprintf("at least %d", want),
				fmt.Sprintf("%s=%d in its server.properties and a restart, or with a smaller MaxMessageBytes", requestSetting, want)})
		}
	}
	if len(deviations) > 0 {
		return &SettingsError{deviations}
	}
	return nil
}

// requestLimits asks every broker for the size of the largest request it takes.
func (c *client) requestLimits(ctx context.Context) (map[int32]string, error) {
	cluster, err := send[*metadata.Response](ctx, c, &metadata.Request{TopicNames: []string{}})
	if err != nil {
		return nil, err
	}
	limits := make(map[int32]string, len(cluster.Brokers))
	for _, b := range cluster.Brokers {
		res, err := send[*describeconfigs.Response](ctx, c, &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{
			ResourceType: int8(kafka.ResourceTypeBroker), ResourceName: strconv.Itoa(int(b.NodeID)), ConfigNames: []string{requestSetting}}}})
		if err != nil {
			return nil, err
		}
		for _, r := range res.Resources {
			if r.ErrorCode != 0 {
				return nil, fmt.Errorf("broker %s: %w", r.ResourceName, kafka.Error(r.ErrorCode))
			}
			for _, e := range r.ConfigEntries {
				limits[b.NodeID] = e.ConfigValue
			}
		}
	}
	return limits, nil
}
