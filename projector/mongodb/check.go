package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/millrace-go/millrace/projector"
)

const oldestMajor = 6 // the first whose commands take a collectionUUID

// actions are the privileges that the account needs on the database.
var actions = []string{"collMod", "createCollection", "createIndex", "find", "insert", "listCollections", "listIndexes", "update"}

// Check verifies that a primary can be reached, that it is of a known version and a member of a replica set, and that the account has
// the privileges.
func (s *Sink) Check(ctx context.Context) error {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"`
	}
	if err := s.decode(ctx, "check: hello", s.db.Name(), bson.D{{Key: "hello", Value: 1}}, &hello); err != nil {
		if errors.Is(err, projector.ErrUnavailable) {
			return fmt.Errorf("%w (no primary was found: check the addresses, the replica set's name, here %q, and that the members' own addresses can be reached from here)",
				err, s.replicaSet)
		}
		return err
	}
	var build struct {
		Version string `bson:"version"`
	}
	if err := s.decode(ctx, "check: read version", s.db.Name(), bson.D{{Key: "buildInfo", Value: 1}}, &build); err != nil {
		return err
	}
	major, _, _ := strings.Cut(build.Version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestMajor {
		return fmt.Errorf("mongodb: check: the server has version %s, this sink needs %d or later", build.Version, oldestMajor)
	}
	switch {
	case hello.Msg == "isdbgrid":
		return errors.New("mongodb: check: this is a sharded cluster, which this sink does not support yet: use a replica set")
	case hello.SetName == "":
		return errors.New("mongodb: check: the server is not in a replica set: start mongod with --replSet rs0 and run rs.initiate() once; a single node is enough")
	}
	return s.checkPrivileges(ctx)
}

// decode performs a command on a database, and decodes the reply.
func (s *Sink) decode(ctx context.Context, step, database string, command bson.D, out any) error {
	bounded, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return commandError(ctx, step, s.client.Database(database).RunCommand(bounded, command).Decode(out))
}

// checkPrivileges asks the server what the account may do. Without authentication it may do everything.
func (s *Sink) checkPrivileges(ctx context.Context) error {
	// Where authentication is required, this fails without it.
	if _, err := s.lookUp(ctx, s.cfg.ProgressCollection); err != nil {
		return err
	}
	var status struct {
		AuthInfo struct {
			Users []struct {
				User string `bson:"user"`
			} `bson:"authenticatedUsers"`
			Privileges []struct {
				Resource struct {
					DB         *string `bson:"db"`
					Collection string  `bson:"collection"`
					Any        bool    `bson:"anyResource"`
				} `bson:"resource"`
				Actions []string `bson:"actions"`
			} `bson:"authenticatedUserPrivileges"`
		} `bson:"authInfo"`
	}
	command := bson.D{{Key: "connectionStatus", Value: 1}, {Key: "showPrivileges", Value: true}}
	if err := s.decode(ctx, "check privileges", s.db.Name(), command, &status); err != nil {
		return err
	}
	if len(status.AuthInfo.Users) == 0 {
		return nil
	}
	allowed := map[string]bool{}
	for _, p := range status.AuthInfo.Privileges {
		r := p.Resource
		if r.Any || r.DB != nil && (*r.DB == "" || *r.DB == s.db.Name()) && r.Collection == "" {
			for _, a := range p.Actions {
				allowed[a] = true
			}
		}
	}
	missing := slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return allowed[a] })
	if len(missing) == 0 {
		return nil
	}
	user := status.AuthInfo.Users[0].User
	return fmt.Errorf(`mongodb: check privileges: the account %s lacks on the database %s: %s: run db.grantRolesToUser(%q, [{role: "readWrite", db: %q}, {role: "dbAdmin", db: %q}])`,
		user, s.db.Name(), strings.Join(missing, ", "), user, s.db.Name(), s.db.Name())
}
