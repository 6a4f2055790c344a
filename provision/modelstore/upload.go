package modelstore

import (
	"context"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// What an upload uses. Each file in flight holds up to four parts, which makes
// 40 MiB in all, beside an up that needs memory for Helm at the same time. Parts
// grow when a file has more than S3's 10,000.
const (
	filesAtOnce = 2
	partsAtOnce = 2
	partSize    = 5 << 20 // bytes; the smallest that S3 takes
	// abortTimeout bounds the call that takes back the parts of a failed upload.
	abortTimeout = 15 * time.Second
)

// Apply implements engine.Resource. Files that the bucket has with the same
// content are skipped, so that an interrupted upload goes on where it stopped.
func (m *Model) Apply(ctx context.Context, p engine.Progress) error {
	files, err := walk(m.dir)
	if err != nil {
		return m.folderError(err)
	}
	if m.remote, err = list(ctx, m.bucket.api, m.bucket.name, m.prefix()); err != nil {
		return cloud.Wrap(m.ID(), "listing what is in the bucket", err)
	}
	p("comparing %s", amount(len(files), localBytes(files)))
	stale, err := m.stale(ctx, files, maybeNewer)
	if err != nil {
		return err
	}
	return m.upload(ctx, stale, p)
}

// Push uploads like Apply but trusts no file's age: every one is compared by
// checksum first.
func (m *Model) Push(ctx context.Context, p engine.Progress) error {
	files, err := walk(m.dir)
	if err != nil {
		return m.folderError(err)
	}
	if m.remote, err = list(ctx, m.bucket.api, m.bucket.name, m.prefix()); err != nil {
		return cloud.Wrap(m.ID(), "listing what is in the bucket", err)
	}
	p("comparing %s", amount(len(files), localBytes(files)))
	stale, err := m.stale(ctx, files, always)
	if err != nil {
		return err
	}
	return m.upload(ctx, stale, p)
}

func (m *Model) upload(ctx context.Context, files []file, p engine.Progress) error {
	client := transfermanager.New(newPartSums(m.bucket.api), func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold = partSize, partSize
		o.Concurrency, o.FailTimeout = partsAtOnce, abortTimeout
	})
	meter := &meter{total: localBytes(files), progress: p}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	for _, f := range files {
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			return m.uploadFile(gctx, client, f, meter)
		})
	}
	return cloud.Wrap(m.ID(), "uploading "+m.dir, g.Wait())
}

// uploadFile sends one file. S3 checks each part's checksum; the sum over the
// whole object is compared here with what was read from disk.
func (m *Model) uploadFile(ctx context.Context, client *transfermanager.Client, f file, meter *meter) error {
	r, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer r.Close()
	body := &hashingReader{r: r, sum: newChecksum()}
	out, err := client.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: aws.String(m.bucket.name), Key: aws.String(m.prefix() + f.key),
		Body: body, ContentLength: aws.Int64(f.size),
		ChecksumAlgorithm: tmtypes.ChecksumAlgorithm(types.ChecksumAlgorithmCrc64nvme),
		ChecksumType:      tmtypes.ChecksumTypeFullObject,
	}, func(o *transfermanager.Options) { o.ObjectProgressListeners.Register(&fileMeter{meter: meter}) })
	if err != nil {
		return fmt.Errorf("%s: %w", f.key, err)
	}
	if body.n != f.size {
		return fmt.Errorf("%s: it changed while it was uploaded (%d bytes, then %d)", f.key, f.size, body.n)
	}
	if got := aws.ToString(out.ChecksumCRC64NVME); got != "" && got != encode(body.sum) {
		return fmt.Errorf("%s: S3 has checksum %s, the file has %s", f.key, got, encode(body.sum))
	}
	return nil
}

// hashingReader sums what the uploader reads, which it does once and in order.
type hashingReader struct {
	r   io.Reader
	sum hash.Hash64
	n   int64
}

func (h *hashingReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.n += int64(n)
	_, _ = h.sum.Write(p[:n]) // never fails (hash.Hash)
	return n, err
}

// meter adds up the bytes of all files. Safe for concurrent use: what it says
// never goes back, and last is said of everything.
type meter struct {
	total    int64
	progress engine.Progress

	mu   sync.Mutex
	sent int64
}

// fileMeter turns the running sum that the uploader reports of one file into
// steps. Parts that end together report their sums in any order.
type fileMeter struct {
	meter *meter
	sent  int64 // guarded by meter.mu
}

// OnObjectBytesTransferred implements transfermanager.ObjectBytesTransferredListener.
func (f *fileMeter) OnObjectBytesTransferred(_ context.Context, e *transfermanager.ObjectBytesTransferredEvent) {
	m := f.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.BytesTransferred <= f.sent {
		return
	}
	m.sent += e.BytesTransferred - f.sent
	f.sent = e.BytesTransferred
	m.progress("%s of %s uploaded", size(m.sent), size(m.total))
}
