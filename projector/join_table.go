package projector

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/internal/jsonscan"
)

// Table is a table of the source whose rows a [Join] keeps, decoded by encoding/json into R, with its primary key K. Tables, relations,
// indexes and parts are declared once, usually as package variables, and may be shared by several joins.
type Table[R any, K comparable] struct{ core *joinTable }

// joinTable is a [Table] without its types. Rows are *R.
type joinTable struct {
	table
	decode func(image []byte) (any, error)
	key    func(dst []byte, row any) []byte
	folded func(dst []byte, row any) []byte // see foldKey; nil where the key has no text
	// fields are the columns that R has fields for, in lower case, and whether a row must have them; nil where all columns are kept.
	fields map[string]bool
	needed int    // of fields
	shape  string // describes R, so that a state of other rows is not taken for one of these
	err    error
}

// NewTable declares a table, named schema.table as in the database. key returns a row's primary key, which is the key of its records in the log; it
// must depend on nothing but the row, and not change over the row's life. K is an integer, a string, a bool, or a struct or array of such.
//
// Only the columns that R has fields for are kept, and only changes of those do anything. See docs/types.md for how values look.
//
// A row must have every column that R has a field for: nothing is built from rows that lack one, because it was added (rows from before have not got its
// default), renamed, dropped or left out of the log. The projector halts instead. A field whose tag says omitzero may be missing, and is then zero.
func NewTable[R any, K comparable](name string, key func(row *R) K) *Table[R, K] {
	t, err := parseTable(name)
	if err == nil && key == nil {
		err = fmt.Errorf("table %s: key is nil", name)
	}
	if err == nil {
		if err = checkKey[K](); err != nil {
			err = fmt.Errorf("table %s: %w", name, err)
		}
	}
	rowType := reflect.TypeFor[R]()
	fields := columnsOf(rowType)
	needed := 0
	for _, must := range fields {
		if must {
			needed++
		}
	}
	return &Table[R, K]{&joinTable{
		table:  t,
		err:    err,
		needed: needed,
		decode: func(image []byte) (any, error) {
			row := new(R)
			if err := decode(image, row); err != nil {
				return nil, err
			}
			return row, nil
		},
		key:    func(dst []byte, row any) []byte { return appendKey(dst, key(row.(*R))) },
		folded: foldedKey(key),
		fields: fields,
		shape:  t.String() + " " + describe(rowType, 0) + " by " + reflect.TypeFor[K]().Kind().String(),
	}}
}

// Name returns the table's name, schema.table.
func (t *Table[R, K]) Name() string { return t.core.String() }

// Get returns the row with this key. It is a free read: see [Join].
func (t *Table[R, K]) Get(v *View, key K) (row *R, found bool) {
	if r := v.get(t.core, appendKey(nil, key), true); r != nil {
		return r.(*R), true
	}
	return nil, false
}

func (t *Table[R, K]) join(p *joinPlan) {
	if t == nil {
		p.bad(errors.New("a Table is nil"))
		return
	}
	p.table(t.core).free = true
}

// columnsOf returns the columns that a struct has fields for, and whether they must be there; nil where that cannot be told.
func columnsOf(t reflect.Type) map[string]bool {
	if t.Kind() != reflect.Struct || decodesItself(t) {
		return nil
	}
	columns := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			embedded := columnsOf(inner)
			if embedded == nil {
				return nil
			}
			maps.Copy(columns, embedded)
			continue
		}
		if !f.IsExported() || f.Tag.Get("json") == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		columns[strings.ToLower(name)] = !slices.Contains(strings.Split(options, ","), "omitzero")
	}
	return columns
}

func decodesItself(t reflect.Type) bool {
	for _, itself := range []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()} {
		if t.Implements(itself) || reflect.PointerTo(t).Implements(itself) {
			return true
		}
	}
	return false
}

// describe writes a type's fields down.
func describe(t reflect.Type, depth int) string {
	if t.Kind() != reflect.Struct || depth > 3 || decodesItself(t) {
		return t.String()
	}
	var text strings.Builder
	for i := range t.NumField() {
		f := t.Field(i)
		fmt.Fprintf(&text, "%s %s %q;", f.Name, describe(f.Type, depth+1), f.Tag.Get("json"))
	}
	return "{" + text.String() + "}"
}

// trim appends to dst the image with the columns that are kept, in its order, and tells whether those that a row must have are all there.
func (t *joinTable) trim(dst, image []byte) (kept []byte, whole bool, err error) {
	if t.fields == nil {
		return append(dst, image...), true, nil
	}
	dst = append(dst, '{')
	first, needed := len(dst), 0
	err = jsonscan.Object(image, func(key, value []byte) bool {
		must, keep := t.column(key)
		if must {
			needed++
		}
		if keep {
			if len(dst) > first {
				dst = append(dst, ',')
			}
			dst = append(append(append(append(dst, '"'), key...), '"', ':'), value...)
		}
		return true
	})
	return append(dst, '}'), needed >= t.needed, err
}

// column tells whether a row must have a column, as it stands in an image, and whether it is kept.
func (t *joinTable) column(name []byte) (must, keep bool) {
	if !plainName(name) {
		text, ok := fieldName(name)
		if !ok {
			return false, true
		}
		must, keep = t.fields[text]
		return must, keep
	}
	must, keep = t.fields[string(name)]
	return must, keep
}

// plainName tells whether a column's name, as it stands in an image, is as [joinTable.fields] has it.
func plainName(name []byte) bool {
	for _, c := range name {
		if c >= 0x80 || 'A' <= c && c <= 'Z' || c == '\\' {
			return false
		}
	}
	return true
}

// fieldName returns a column's name as [joinTable.fields] has it.
func fieldName(name []byte) (text string, ok bool) {
	text = string(name)
	if bytes.IndexByte(name, '\\') >= 0 && json.Unmarshal(fmt.Appendf(nil, `"%s"`, name), &text) != nil {
		return "", false
	}
	return strings.ToLower(text), true
}

// lacks returns the columns that an image must have and has not.
func (t *joinTable) lacks(image []byte) (columns []string) {
	has := map[string]bool{}
	_ = jsonscan.Object(image, func(key, _ []byte) bool {
		if name, ok := fieldName(key); ok {
			has[name] = true
		}
		return true
	})
	for name, must := range t.fields {
		if must && !has[name] {
			columns = append(columns, name)
		}
	}
	slices.Sort(columns)
	return columns
}

// RowType returns R.
func (t *Table[R, K]) RowType() reflect.Type { return reflect.TypeFor[R]() }

// KeyColumns returns the columns that the key is made of, in the order of R's fields: those whose values change it. It is for tests, which make rows
// of their own.
func (t *Table[R, K]) KeyColumns() (columns []string) {
	rowType := reflect.TypeFor[R]()
	if rowType.Kind() != reflect.Struct || t.core.err != nil {
		return nil
	}
	keyOf := func(row reflect.Value) (key string) {
		_ = guard(func() error { key = string(t.core.key(nil, row.Interface())); return nil })
		return key
	}
	none := keyOf(reflect.New(rowType))
	for i := range rowType.NumField() {
		f, row := rowType.Field(i), reflect.New(rowType)
		if !f.IsExported() || !setSome(row.Elem().Field(i)) || keyOf(row) == none {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		columns = append(columns, name)
	}
	return columns
}

// setSome gives a value another than its zero, where it knows one.
func setSome(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.String:
		v.SetString("1")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setSome(v.Elem())
	default:
		return false
	}
	return true
}
