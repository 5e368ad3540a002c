package projector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// appendKey appends a key so that encoded keys of one type compare as the keys do, and none begins with another: integers as eight bytes,
// strings with an end, structs and arrays as their parts.
func appendKey[K any](dst []byte, key K) []byte {
	switch k := any(key).(type) {
	case int:
		return binary.BigEndian.AppendUint64(dst, uint64(k)^1<<63)
	case int64:
		return binary.BigEndian.AppendUint64(dst, uint64(k)^1<<63)
	case int32:
		return binary.BigEndian.AppendUint64(dst, uint64(k)^1<<63)
	case uint64:
		return binary.BigEndian.AppendUint64(dst, k)
	case string:
		return appendKeyText(dst, k)
	}
	return appendKeyValue(dst, reflect.ValueOf(key))
}

func appendKeyValue(dst []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int())^1<<63)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.BigEndian.AppendUint64(dst, v.Uint())
	case reflect.Float32, reflect.Float64:
		bits := math.Float64bits(v.Float() + 0) // -0 is 0
		if bits>>63 == 1 {
			return binary.BigEndian.AppendUint64(dst, ^bits)
		}
		return binary.BigEndian.AppendUint64(dst, bits|1<<63)
	case reflect.Bool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case reflect.String:
		return appendKeyText(dst, v.String())
	case reflect.Array:
		for i := range v.Len() {
			dst = appendKeyValue(dst, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			dst = appendKeyValue(dst, v.Field(i))
		}
	}
	return dst
}

// appendKeyText writes 00 as 00 FF, and ends with 00 01.
func appendKeyText(dst []byte, s string) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 1)
}

// checkKey tells whether keys of type K can be encoded.
func checkKey[K any]() error { return checkKeyType(reflect.TypeFor[K]()) }

func checkKeyType(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32,
		reflect.Uint64, reflect.Bool, reflect.String, reflect.Float32, reflect.Float64:
		return nil
	case reflect.Array:
		return checkKeyType(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); !f.IsExported() {
				return fmt.Errorf("key type %s: field %s is not exported", t, f.Name)
			} else if err := checkKeyType(f.Type); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("a key of type %s cannot be ordered: use integers, strings, bools, and structs and arrays of them", t)
}

var errKey = errors.New("an encoded key ends early")

// readKey is the inverse of appendKey.
func readKey[K any](src []byte) (key K, err error) {
	switch k := any(&key).(type) {
	case *int:
		u, _, err := readKeyUint(src)
		*k = int(u ^ 1<<63)
		return key, err
	case *int64:
		u, _, err := readKeyUint(src)
		*k = int64(u ^ 1<<63)
		return key, err
	}
	_, err = readKeyValue(src, reflect.ValueOf(&key).Elem())
	return key, err
}

func readKeyUint(src []byte) (uint64, []byte, error) {
	if len(src) < 8 {
		return 0, nil, errKey
	}
	return binary.BigEndian.Uint64(src), src[8:], nil
}

func readKeyValue(src []byte, into reflect.Value) (rest []byte, err error) {
	var u uint64
	switch into.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		u, rest, err = readKeyUint(src)
		into.SetInt(int64(u ^ 1<<63))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, rest, err = readKeyUint(src)
		into.SetUint(u)
	case reflect.Float32, reflect.Float64:
		u, rest, err = readKeyUint(src)
		if u>>63 == 1 {
			u ^= 1 << 63
		} else {
			u = ^u
		}
		into.SetFloat(math.Float64frombits(u))
	case reflect.Bool:
		if len(src) == 0 {
			return nil, errKey
		}
		into.SetBool(src[0] == 1)
		rest = src[1:]
	case reflect.String:
		var text []byte
		for {
			i := bytes.IndexByte(src, 0)
			if i < 0 || i+1 >= len(src) {
				return nil, errKey
			}
			end := src[i+1] == 1
			text = append(text, src[:i]...)
			if src = src[i+2:]; end {
				break
			}
			text = append(text, 0)
		}
		into.SetString(string(text))
		rest = src
	case reflect.Array:
		for i := range into.Len() {
			if src, err = readKeyValue(src, into.Index(i)); err != nil {
				return nil, err
			}
		}
		rest = src
	case reflect.Struct:
		for i := range into.NumField() {
			if src, err = readKeyValue(src, into.Field(i)); err != nil {
				return nil, err
			}
		}
		rest = src
	}
	return rest, err
}

// plainID returns what writes a key of type K as a document's id, nil where that is the user's to say.
func plainID[K any]() func(K) string {
	switch reflect.TypeFor[K]().Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(k K) string { return strconv.FormatInt(reflect.ValueOf(k).Int(), 10) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(k K) string { return strconv.FormatUint(reflect.ValueOf(k).Uint(), 10) }
	case reflect.String:
		return func(k K) string { return reflect.ValueOf(k).String() }
	}
	return nil
}

// foldedKey returns what appends a row's key with its text folded: all keys that a database may take for equal, because it tells neither cases nor spaces at
// the end apart, are the same then. It is nil where the key has no text.
func foldedKey[R any, K comparable](key func(row *R) K) func(dst []byte, row any) []byte {
	if key == nil || checkKey[K]() != nil || !hasText(reflect.TypeFor[K]()) {
		return nil
	}
	return func(dst []byte, row any) []byte {
		k := key(row.(*R))
		foldText(reflect.ValueOf(&k).Elem())
		return appendKey(dst, k)
	}
}

func hasText(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return true
	case reflect.Array:
		return hasText(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasText(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

func foldText(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.ToLower(strings.TrimRight(v.String(), " ")))
	case reflect.Array:
		for i := range v.Len() {
			foldText(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			foldText(v.Field(i))
		}
	}
}
