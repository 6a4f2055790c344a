package modelstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// Size is what the model takes, once it was observed: as the folder says, or the
// bucket where there is no folder. It is zero if neither says anything.
func (m *Model) Size() blueprints.ModelSize {
	sizes := map[string]int64{}
	if files, err := walk(m.dir); err == nil {
		for _, f := range files {
			sizes[f.key] = f.size
		}
	} else {
		for key, o := range m.remote {
			sizes[key] = o.size
		}
	}
	return blueprints.SizeOf(sizes)
}

// Revision is another text when the model in the bucket is another. It is empty
// while the bucket has nothing of it.
func (m *Model) Revision(ctx context.Context) (string, error) {
	if !m.bucket.Exists() {
		return "", nil
	}
	files, err := list(ctx, m.bucket.api, m.bucket.name, m.prefix())
	if err != nil || len(files) == 0 {
		return "", cloud.Wrap(m.ID(), "listing what is in the bucket", err)
	}
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintln(sum, key, files[key].size, files[key].tag)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
