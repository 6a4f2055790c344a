package orphans

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"
)

// FilesAPI is what the search uses of EFS.
type FilesAPI interface {
	efs.DescribeFileSystemsAPIClient
}

// fileSystems finds the EFS file systems whose tags name the cluster. Their mount
// targets have no tags, and are told with them.
func (s *Search) fileSystems(ctx context.Context) ([]Thing, error) {
	var found []Thing
	pages := efs.NewDescribeFileSystemsPaginator(s.EFS, &efs.DescribeFileSystemsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, f := range page.FileSystems {
			tags := map[string]string{}
			for _, t := range f.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			id, bytes := aws.ToString(f.FileSystemId), int64(0)
			if f.SizeInBytes != nil {
				bytes = f.SizeInBytes.Value
			}
			why := s.reason(tags)
			if why == "" || f.LifeCycleState == types.LifeCycleStateDeleted {
				continue
			}
			found = append(found, Thing{Kind: "file-system", ID: id, Why: why,
				Detail:      fmt.Sprintf("%s, %d bytes, %d mount targets", aws.ToString(f.Name), bytes, f.NumberOfMountTargets),
				CostPerHour: fileGiBMonth * float64(bytes) / gib / hoursOfMonth, going: f.LifeCycleState == types.LifeCycleStateDeleting,
				Remove: s.command("efs delete-file-system --file-system-id %s", id)})
		}
	}
	return found, nil
}
