package projector

// cacheBudget bounds the memory of an engine's caches together. Each holds what was used of late in one of two maps; when the young ones have half of the
// budget, all let their aged ones go.
type cacheBudget struct {
	limit, size int // bytes, of the young ones
	caches      []interface{ age() }
}

// cacheOverhead estimates what an entry takes besides its key and value.
const cacheOverhead = 100

func (b *cacheBudget) take(bytes int) {
	if b.size += bytes; b.size > b.limit {
		for _, c := range b.caches {
			c.age()
		}
		b.size = bytes
	}
}

// cache holds what is in the local state, ready for use, by encoded key.
type cache[V any] struct {
	budget      *cacheBudget
	young, aged map[string]*cached[V]
}

type cached[V any] struct {
	value V
	size  int
}

func newCache[V any](b *cacheBudget) *cache[V] {
	c := &cache[V]{budget: b, young: map[string]*cached[V]{}}
	b.caches = append(b.caches, c)
	return c
}

func (c *cache[V]) age() { c.aged, c.young = c.young, map[string]*cached[V]{} }

func (c *cache[V]) get(key []byte) (value V, found bool) {
	if e := c.young[string(key)]; e != nil {
		return e.value, true
	}
	e := c.aged[string(key)]
	if e == nil {
		return value, false
	}
	c.add(key, e)
	return e.value, true
}

// set puts a value of about size bytes in the place of any that there was.
func (c *cache[V]) set(key []byte, value V, size int) {
	if e := c.young[string(key)]; e != nil {
		c.budget.size += size - e.size
		e.value, e.size = value, size
		return
	}
	c.add(key, &cached[V]{value, size})
}

func (c *cache[V]) add(key []byte, e *cached[V]) {
	c.budget.take(len(key) + e.size + cacheOverhead)
	c.young[string(key)] = e
}

func (c *cache[V]) remove(key []byte) {
	delete(c.young, string(key))
	delete(c.aged, string(key))
}
