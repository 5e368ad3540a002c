package servers

import (
	"context"
	"errors"
	"os/exec"
)

type elasticsearch struct{}

func (elasticsearch) install(ctx context.Context, in *installer) (programs, error) { return programs{}, errors.New("not yet") }
func (elasticsearch) format(ctx context.Context, s *Server) error { return errors.New("not yet") }
func (elasticsearch) command(s *Server, first bool) (*exec.Cmd, error) { return nil, errors.New("not yet") }
func (elasticsearch) probe(ctx context.Context, s *Server, first bool) error { return errors.New("not yet") }
type mongoDB struct{ elasticsearch}
