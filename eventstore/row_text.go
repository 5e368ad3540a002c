package eventstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return append(append(append(dst, '"'), s...), '"')
	}
	text, _ := json.Marshal(strings.ToValidUTF8(s, "\uFFFD")) // a string always marshals; read back and written again it is the same
	return append(dst, text...)
}

// parseText reads a JSON string.
func parseText(value []byte) (string, error) {
	if n := len(value); n >= 2 && value[0] == '"' && !strings.ContainsRune(string(value), '\\') {
		return string(value[1 : n-1]), nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", errors.New("a name in the envelope's source is not a string")
	}
	return s, nil
}

// RowTopic returns the log's topic of a table: schema.table, with every byte that a Kafka topic may not have, and the dot, written as
// "-xHH-" inside either name, so that two tables never share a topic and the name reads back.
func RowTopic(schema, table string) string {
	return string(appendTopicName(append(appendTopicName(nil, schema), '.'), table))
}

func appendTopicName(dst []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_',
			c == '-' && (i+1 == len(name) || name[i+1] != 'x'):
			dst = append(dst, c)
		default:
			dst = fmt.Appendf(dst, "-x%02X-", c)
		}
	}
	return dst
}

// ParseRowTopic is the inverse of [RowTopic]; ok is false for a topic that is not a table's.
func ParseRowTopic(topic string) (schema, table string, ok bool) {
	left, right, found := strings.Cut(topic, ".")
	if !found {
		return "", "", false
	}
	schema, ok1 := parseTopicName(left)
	table, ok2 := parseTopicName(right)
	if !ok1 || !ok2 || RowTopic(schema, table) != topic {
		return "", "", false
	}
	return schema, table, true
}

func parseTopicName(name string) (string, bool) {
	var out []byte
	for i := 0; i < len(name); i++ {
		if !strings.HasPrefix(name[i:], "-x") {
			out = append(out, name[i])
			continue
		}
		var c byte
		if n, err := fmt.Sscanf(name[i:min(len(name), i+5)], "-x%02X-", &c); n != 1 || err != nil {
			return "", false
		}
		out = append(out, c)
		i += 4
	}
	return string(out), len(out) > 0
}
