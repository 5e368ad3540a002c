package mongodb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/millrace-go/millrace/projector"
)

// decodeDocument turns a stored document into what the user wrote, in canonical form.
func decodeDocument(id string, raw bson.Raw) (projector.Document, error) {
	d := projector.Document{ID: id}
	v, ok := raw.Lookup(versionField).AsInt64OK()
	if !ok {
		return d, fmt.Errorf("mongodb: document %q: it has no version (%s): it was not written by Millrace", id, versionField)
	}
	d.Version = projector.Version(v)
	if _, err := raw.LookupErr(goneField); err == nil {
		return d, nil
	}
	elements, err := raw.Elements()
	if err != nil {
		return d, fmt.Errorf("mongodb: document %q: %w", id, err)
	}
	body := []byte{'{'}
	for _, e := range elements {
		name := e.Key()
		if name == idField || name == versionField {
			continue
		}
		if body, err = appendField(body, name, e.Value()); err != nil {
			return d, fmt.Errorf("mongodb: document %q: %w", id, err)
		}
	}
	d.Body = append(body, '}')
	return d, nil
}

func appendField(dst []byte, name string, v bson.RawValue) ([]byte, error) {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(appendQuoted(dst, name), ':')
	return appendValue(dst, v)
}

func appendValue(dst []byte, v bson.RawValue) ([]byte, error) {
	switch v.Type {
	case bson.TypeString:
		return appendQuoted(dst, v.StringValue()), nil
	case bson.TypeInt32:
		return strconv.AppendInt(dst, int64(v.Int32()), 10), nil
	case bson.TypeInt64:
		return strconv.AppendInt(dst, v.Int64(), 10), nil
	case bson.TypeDouble:
		return appendDouble(dst, v.Double())
	case bson.TypeDecimal128:
		return append(dst, v.Decimal128().String()...), nil
	case bson.TypeBoolean:
		return strconv.AppendBool(dst, v.Boolean()), nil
	case bson.TypeNull:
		return append(dst, "null"...), nil
	case bson.TypeEmbeddedDocument:
		elements, err := v.Document().Elements()
		if err != nil {
			return nil, err
		}
		dst = append(dst, '{')
		for _, e := range elements {
			if dst, err = appendField(dst, e.Key(), e.Value()); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case bson.TypeArray:
		values, err := v.Array().Values()
		if err != nil {
			return nil, err
		}
		dst = append(dst, '[')
		for i, element := range values {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendValue(dst, element); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	return nil, fmt.Errorf("a value has the type %s, which Millrace does not write", v.Type)
}

// appendDouble writes a number as encoding/json does.
func appendDouble(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("a number is not finite, which Millrace does not write")
	}
	text, err := json.Marshal(f)
	return append(dst, text...), err
}

// appendQuoted writes a string as encoding/json does with SetEscapeHTML(false).
func appendQuoted(dst []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7F {
			plain = false
			break
		}
	}
	if plain {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { // cannot be: it is a string
		return append(dst, `""`...)
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
