package history

import (
	"bytes"
	"encoding/json"
	"errors"
)

// object reads a JSON object: the values as text, and the names in their order. encoding/json does what is not flat; a log of millions of
// records takes too long with it.
func object(data []byte) (map[string]Value, []string, error) {
	if string(data) == "null" {
		return nil, nil, nil
	}
	if !json.Valid(data) {
		return nil, nil, errors.New("not a JSON value")
	}
	if row, columns, ok := flat(data); ok {
		return row, columns, nil
	}
	var any map[string]any
	if err := decode(data, &any); err != nil {
		return nil, nil, err
	}
	columns, err := names(data)
	return texts(any), columns, err
}

// flat reads a valid JSON value that is an object without white space, and holds strings, numbers, true, false and null only.
func flat(data []byte) (row map[string]Value, columns []string, ok bool) {
	if len(data) < 2 || data[0] != '{' {
		return nil, nil, false
	}
	row = make(map[string]Value, bytes.Count(data, []byte(`":`)))
	for at := 1; data[at] != '}'; {
		name, end, err := text(data, at)
		if err != nil || data[end] != ':' {
			return nil, nil, false
		}
		at = end + 1
		var v Value
		switch {
		case data[at] == '"':
			if v.Text, end, err = text(data, at); err != nil {
				return nil, nil, false
			}
		case data[at] == '{' || data[at] == '[' || data[at] <= ' ':
			return nil, nil, false
		default:
			end = at + bytes.IndexAny(data[at:], ",}")
			v.Text = string(data[at:end])
			if v.Text == "null" {
				v = Value{Null: true}
			}
		}
		row[name] = v
		columns = append(columns, name)
		if at = end; data[at] == ',' {
			at++
		} else if data[at] != '}' {
			return nil, nil, false
		}
	}
	return row, columns, true
}

// text reads a string of valid JSON, and returns where it ends.
func text(data []byte, at int) (string, int, error) {
	if data[at] != '"' {
		return "", 0, errors.New("want a string")
	}
	escaped := false
	end := at + 1
	for ; data[end] != '"'; end++ {
		if data[end] == '\\' {
			escaped = true
			end++
		}
	}
	end++
	if !escaped {
		return string(data[at+1 : end-1]), end, nil
	}
	var out string
	err := json.Unmarshal(data[at:end], &out)
	return out, end, err
}
