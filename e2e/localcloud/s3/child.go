package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"

	"aicluster/e2e/localcloud/wire"
)

// Command is the hidden command by which the executable becomes an S3 server.
// It is a process of its own because the storage backend changes the working
// directory and counts on it.
const Command = "s3"

// childConfig is what the parent writes to the child's standard input. More
// [Key]s may follow it. The parent holds the input open for as long as the
// child shall run.
type childConfig struct {
	Region   string
	Socket   string // an abstract unix socket: "@name"
	Objects  string // folder of the objects
	Versions string // folder of their older versions
	Sidecar  string // folder of their attributes, if the file system has none of its own
	Keys     []Key
}

// What the child prints: once it serves, and when it has taken a further key.
const (
	ready = "ready"
	added = "added"
)

// RunChild is the body of the hidden command "s3": it serves until ctx ends, a
// signal to end comes, or its standard input ends, which it does when the
// parent is gone.
func RunChild(ctx context.Context, _ []string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	input := json.NewDecoder(os.Stdin)
	var c childConfig
	if err := input.Decode(&c); err != nil {
		return fmt.Errorf("s3 configuration: %w", err)
	}
	ctx, orphaned := context.WithCancel(ctx)
	defer orphaned()
	keys := &accounts{keys: c.Keys}
	go func() {
		defer orphaned() // any end of the input is the end
		for {
			var k Key
			if err := input.Decode(&k); err != nil {
				return
			}
			keys.add(k)
			fmt.Println(added)
		}
	}()
	return serveBackend(ctx, c, keys)
}

func serveBackend(ctx context.Context, c childConfig, keys *accounts) error {
	storer, err := attributes(c)
	if err != nil {
		return err
	}
	backend, err := posix.New(c.Objects, storer, posix.PosixOpts{VersioningDir: c.Versions, CopyObjectThreshold: 5 << 30})
	if err != nil {
		return fmt.Errorf("s3 backend: %w", err)
	}
	root := middlewares.RootUserConfig{Access: c.Keys[0].ID, Secret: c.Keys[0].Secret}
	server, err := s3api.New(backend, root, c.Region, keys, nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithConcurrencyLimiter(4096, 4096), s3api.WithMpMaxParts(10_000),
		s3api.WithMiddleware("/", drain),
		s3api.WithOnListen(func() { fmt.Println(ready) }))
	if err != nil {
		return fmt.Errorf("s3 server: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- server.ServeMultiPort([]string{c.Socket}) }()
	select {
	case err := <-served:
		return fmt.Errorf("s3 server: %w", err)
	case <-ctx.Done():
		return nil // whatever is in flight is thrown away with the folder
	}
}

// drain reads what a refused upload has left unread, to its end: the server
// itself gives up after 256 KiB and closes the connection, and the proxy in
// front then answers with an error of its own.
func drain(c fiber.Ctx) error {
	err := c.Next()
	if body := c.Request().BodyStream(); body != nil && c.Request().Header.ContentLength() > 0 {
		io.Copy(io.Discard, body) //nolint:errcheck // the client is gone
	}
	return err
}

// attributes is where the objects' metadata goes: into extended attributes, or
// beside them on a file system that has none, such as an older tmpfs.
func attributes(c childConfig) (meta.MetadataStorer, error) {
	if err := (meta.XattrMeta{}).Test(c.Objects); err == nil {
		return meta.XattrMeta{}, nil
	}
	if err := os.MkdirAll(c.Sidecar, 0o700); err != nil {
		return nil, err
	}
	return meta.NewSideCar(c.Sidecar)
}

// accounts are the keys that may sign. All of them are the account's own, so
// that the backend lets them do everything: permissions are the outer handler's.
type accounts struct {
	mu   sync.RWMutex
	keys []Key
}

func (a *accounts) add(k Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = append(a.keys, k)
}

func (a *accounts) find(access string) (Key, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, k := range a.keys {
		if k.ID == access {
			return k, true
		}
	}
	return Key{}, false
}

func (a *accounts) GetUserAccount(access string) (auth.Account, error) {
	k, ok := a.find(access)
	if !ok {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return auth.Account{Access: k.ID, Secret: k.Secret, Role: auth.RoleAdmin}, nil
}

// DeriveSigningKey is what lets the backend take temporary keys.
func (a *accounts) DeriveSigningKey(access, token, date, region, service string) ([]byte, auth.Account, error) {
	k, ok := a.find(access)
	switch {
	case !ok:
		return nil, auth.Account{}, auth.ErrNoSuchUser
	case k.Token != token:
		return nil, auth.Account{}, auth.ErrInvalidSessionToken
	}
	account, err := a.GetUserAccount(access)
	return wire.SigningKey(k.Secret, date, region, service), account, err
}

func (a *accounts) ResolveAccounts(ids []string) (missing []string, err error) {
	for _, id := range ids {
		if _, err := a.GetUserAccount(id); err != nil {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

func (a *accounts) ListUserAccounts() ([]auth.Account, error) { return nil, nil }
func (a *accounts) Shutdown() error                           { return nil }

// errElsewhere is for the backend's own user administration, which is not used.
var errElsewhere = errors.New("keys are given by the local cloud")

func (a *accounts) CreateAccount(auth.Account) error                  { return errElsewhere }
func (a *accounts) UpdateUserAccount(string, auth.MutableProps) error { return errElsewhere }
func (a *accounts) DeleteUserAccount(string) error                    { return errElsewhere }
