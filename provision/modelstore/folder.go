package modelstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one local file of a model.
type file struct {
	key      string // with slashes, relative to the folder
	path     string
	size     int64 // bytes
	modified time.Time
}

// walk lists the files of a folder, sorted by key. Symbolic links are followed,
// because a model hub's cache is made of them; names that start with a dot (a
// hub's or git's bookkeeping) are left out.
func walk(root string) ([]file, error) {
	info, err := os.Stat(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the folder %s does not exist: %w", root, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; a model is a folder", root)
	}
	var files []file
	if err := walkInto(root, "", nil, &files); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("the folder %s holds no files", root)
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.key, b.key) })
	return files, nil
}

// walkInto adds the files of dir. above are the real paths of the folders that
// lead to it: one that comes again is a loop.
func walkInto(dir, prefix string, above []string, files *[]file) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("following %s: %w", dir, err)
	}
	if slices.Contains(above, real) {
		return fmt.Errorf("the link %s leads back to %s, a folder that it lies in", dir, real)
	}
	above = append(slices.Clone(above), real)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		at, key := filepath.Join(dir, e.Name()), path.Join(prefix, e.Name())
		info, err := os.Stat(at) // follows links; a link to itself fails here
		switch {
		case err != nil:
			return fmt.Errorf("following %s: %w", at, err)
		case info.IsDir():
			if err := walkInto(at, key, above, files); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			*files = append(*files, file{key: key, path: at, size: info.Size(), modified: info.ModTime()})
		default:
			return fmt.Errorf("%s is neither a file nor a folder", at)
		}
	}
	return nil
}

// newChecksum is CRC-64/NVME, which S3 gives for the whole object however many
// parts it was sent in (S3 user guide, "Checking object integrity"; the
// polynomial is that of the SDK's own implementation).
func newChecksum() hash.Hash64 {
	return crc64.New(crc64.MakeTable(bits.Reverse64(0xad93d23594c93659)))
}

// encode writes a checksum as S3 does: big-endian in base64.
func encode(h hash.Hash64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, h.Sum64()))
}

// checksum reads a file and returns its CRC-64/NVME. It ends early with ctx.
func checksum(ctx context.Context, f file) (string, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := newChecksum()
	if _, err := io.CopyBuffer(h, readerWithContext{ctx, r}, make([]byte, 1<<20)); err != nil {
		return "", fmt.Errorf("reading %s: %w", f.path, err)
	}
	return encode(h), nil
}

type readerWithContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWithContext) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
