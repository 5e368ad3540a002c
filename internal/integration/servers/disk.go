package servers

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FillDisk makes everything fail that the server writes to its files, as a full disk does: from now on until it is restarted, they may not grow.
// A server may end because of it.
func (s *Server) FillDisk() error {
	var limit unix.Rlimit
	err := unix.Prlimit(s.PID(), unix.RLIMIT_FSIZE, nil, &limit)
	if err == nil {
		limit.Cur = 0
		err = unix.Prlimit(s.PID(), unix.RLIMIT_FSIZE, &limit, nil)
	}
	if err != nil {
		return fmt.Errorf("limit the files of %s: %w", s.kind, err)
	}
	return nil
}
