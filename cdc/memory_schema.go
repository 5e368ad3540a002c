package cdc

// Execute adds a transaction of one statement that changes tables as a whole, and returns its GTID. The changes' Row fields are set to
// their order. The rows of later commits have the tables that they say.
func (s *MemorySource) Execute(changes ...SchemaChange) string {
	s.lock()
	defer s.mu.Unlock()
	own := append([]SchemaChange(nil), changes...)
	for i := range own {
		own[i].Row = uint64(i)
	}
	return s.add(memoryTransaction{schema: own})
}
