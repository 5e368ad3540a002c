// Package jsonscan walks the members of a JSON object without decoding their values. The row codec reads envelopes with it: the
// values of an envelope are handed on as they are, so decoding them would be work for nothing.
package jsonscan

import (
	"errors"
	"fmt"
)

// ErrSyntax is the class of all errors of this package. Their text says at which byte, never what stands there.
var ErrSyntax = errors.New("malformed JSON")

// maxDepth bounds nesting, as encoding/json does.
const maxDepth = 10_000

// Object calls member with the raw key (without quotes, escapes left as they are) and raw value of each member of the object in
// data, until it returns false. Slices point into data. A value is checked for balanced structure only, not for full grammar.
func Object(data []byte, member func(key, value []byte) bool) error {
	s := scanner{data: data}
	s.space()
	if !s.take('{') {
		return s.fail("want an object")
	}
	s.space()
	if s.take('}') {
		return s.end()
	}
	for {
		s.space()
		key, err := s.text()
		if err != nil {
			return err
		}
		s.space()
		if !s.take(':') {
			return s.fail("want a colon")
		}
		s.space()
		value, err := s.value()
		if err != nil {
			return err
		}
		if !member(key, value) {
			return nil
		}
		s.space()
		if s.take('}') {
			return s.end()
		}
		if !s.take(',') {
			return s.fail("want a comma or the object's end")
		}
	}
}

type scanner struct {
	data []byte
	at   int
}

func (s *scanner) fail(want string) error {
	return fmt.Errorf("%w at byte %d: %s", ErrSyntax, s.at, want)
}

func (s *scanner) end() error {
	if s.space(); s.at != len(s.data) {
		return s.fail("want nothing behind the object")
	}
	return nil
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text reads a string and returns what is between its quotes.
func (s *scanner) text() ([]byte, error) {
	if !s.take('"') {
		return nil, s.fail("want a string")
	}
	from := s.at
	for ; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '"':
			s.at++
			return s.data[from : s.at-1], nil
		case '\\':
			s.at++
		}
	}
	s.at = len(s.data)
	return nil, s.fail("want the string's end")
}

func (s *scanner) value() ([]byte, error) {
	from := s.at
	if s.at == len(s.data) {
		return nil, s.fail("want a value")
	}
	switch s.data[s.at] {
	case '"':
		_, err := s.text()
		return s.data[from:s.at], err
	case '{', '[':
		err := s.nested()
		return s.data[from:s.at], err
	}
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ',', '}', ']', ' ', '\t', '\n', '\r', ':', '"', '{', '[':
			if s.at == from {
				return nil, s.fail("want a value")
			}
			return s.data[from:s.at], nil
		}
		s.at++
	}
	return s.data[from:s.at], nil
}

// nested skips an object or array.
func (s *scanner) nested() error {
	depth := 0
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case '"':
			if _, err := s.text(); err != nil {
				return err
			}
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return s.fail("nested too deep")
			}
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				return nil
			}
		}
		s.at++
	}
	return s.fail("want the value's end")
}
