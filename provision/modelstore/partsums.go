package modelstore

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// partSums names each part's CRC-64/NVME when an upload is completed, as S3 asks
// for (S3 user guide, "Checking object integrity": a part's checksum is required
// where its upload gave one). The transfer manager's own record of a part has no
// field for this algorithm. Safe for concurrent use.
type partSums struct {
	transfermanager.S3APIClient

	mu   sync.Mutex
	sums map[part]*string
}

// part is one part of an upload.
type part struct {
	upload string
	number int32
}

func newPartSums(api transfermanager.S3APIClient) *partSums {
	return &partSums{S3APIClient: api, sums: map[part]*string{}}
}

// UploadPart notes the checksum that S3 found.
func (s *partSums) UploadPart(ctx context.Context, in *s3.UploadPartInput, options ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	out, err := s.S3APIClient.UploadPart(ctx, in, options...)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sums[part{aws.ToString(in.UploadId), aws.ToInt32(in.PartNumber)}] = out.ChecksumCRC64NVME
	}
	return out, err
}

// CompleteMultipartUpload adds the checksums.
func (s *partSums) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput, options ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error) {
	s.mu.Lock()
	for i := range in.MultipartUpload.Parts {
		p := &in.MultipartUpload.Parts[i]
		key := part{aws.ToString(in.UploadId), aws.ToInt32(p.PartNumber)}
		p.ChecksumCRC64NVME = s.sums[key]
		delete(s.sums, key)
	}
	s.mu.Unlock()
	return s.S3APIClient.CompleteMultipartUpload(ctx, in, options...)
}
