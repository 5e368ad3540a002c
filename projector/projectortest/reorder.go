package projectortest

import (
	"encoding/json"
	"fmt"
)

// reorder returns transactions in another order, the last ones first, in which those that touch the same row, topic or table as a whole stay in their order.
func (f *Feed) reorder(transactions [][]Change) (other [][]Change, err error) {
	touched := make([]map[string]bool, len(transactions)) // rows, by table and key
	whole := make([]bool, len(transactions))
	for i, changes := range transactions {
		touched[i] = map[string]bool{}
		for _, c := range changes {
			if c.op != "" {
				whole[i] = true
				continue
			}
			if c.event {
				touched[i]["topic "+c.table] = true
				continue
			}
			for _, row := range []any{c.old, c.row} {
				if row == nil {
					continue
				}
				image, err := json.Marshal(row)
				if err != nil {
					return nil, fmt.Errorf("feed: table %s: %w", c.table, err)
				}
				key, err := f.key(c.table, image)
				if err != nil {
					return nil, err
				}
				touched[i][c.table+key] = true
			}
		}
	}
	// before tells whether transaction i has to stay before j.
	before := func(i, j int) bool {
		if whole[i] || whole[j] {
			return true
		}
		for row := range touched[i] {
			if touched[j][row] {
				return true
			}
		}
		return false
	}
	done := make([]bool, len(transactions))
	for range transactions {
	next:
		for j := len(transactions) - 1; j >= 0; j-- {
			if done[j] {
				continue
			}
			for i := range j {
				if !done[i] && before(i, j) {
					continue next
				}
			}
			done[j], other = true, append(other, transactions[j])
			break
		}
	}
	return other, nil
}
