package servers_test

import (
	"context"
	"fmt"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// A private server is killed and comes back on the same port, with its data.
func ExampleStart() {
	ctx := context.Background()
	s, err := servers.Start(ctx, servers.MariaDB, servers.Options{Args: []string{"--max-connections=20"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	before := s.Address()
	if err := s.Kill(); err != nil {
		fmt.Println(err)
	}
	if err := s.Restart(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(s.Kind(), s.Address() == before)
	// Output: mariadb true
}
