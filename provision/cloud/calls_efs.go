package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/efs"
)

// efsCalls is what is called of EFS; see [op].
type efsCalls struct {
	createFileSystem     op[efs.CreateFileSystemInput, efs.CreateFileSystemOutput, efs.Options]
	createMountTarget    op[efs.CreateMountTargetInput, efs.CreateMountTargetOutput, efs.Options]
	deleteFileSystem     op[efs.DeleteFileSystemInput, efs.DeleteFileSystemOutput, efs.Options]
	deleteMountTarget    op[efs.DeleteMountTargetInput, efs.DeleteMountTargetOutput, efs.Options]
	describeFileSystems  op[efs.DescribeFileSystemsInput, efs.DescribeFileSystemsOutput, efs.Options]
	describeMountTargets op[efs.DescribeMountTargetsInput, efs.DescribeMountTargetsOutput, efs.Options]
	tagResource          op[efs.TagResourceInput, efs.TagResourceOutput, efs.Options]
}

func newEFSCalls(c *efs.Client) *efsCalls {
	return &efsCalls{
		createFileSystem:     c.CreateFileSystem,
		createMountTarget:    c.CreateMountTarget,
		deleteFileSystem:     c.DeleteFileSystem,
		deleteMountTarget:    c.DeleteMountTarget,
		describeFileSystems:  c.DescribeFileSystems,
		describeMountTargets: c.DescribeMountTargets,
		tagResource:          c.TagResource,
	}
}

func (c *efsCalls) CreateFileSystem(ctx context.Context, in *efs.CreateFileSystemInput, o ...func(*efs.Options)) (*efs.CreateFileSystemOutput, error) {
	return c.createFileSystem(ctx, in, o...)
}

func (c *efsCalls) CreateMountTarget(ctx context.Context, in *efs.CreateMountTargetInput, o ...func(*efs.Options)) (*efs.CreateMountTargetOutput, error) {
	return c.createMountTarget(ctx, in, o...)
}

func (c *efsCalls) DeleteFileSystem(ctx context.Context, in *efs.DeleteFileSystemInput, o ...func(*efs.Options)) (*efs.DeleteFileSystemOutput, error) {
	return c.deleteFileSystem(ctx, in, o...)
}

func (c *efsCalls) DeleteMountTarget(ctx context.Context, in *efs.DeleteMountTargetInput, o ...func(*efs.Options)) (*efs.DeleteMountTargetOutput, error) {
	return c.deleteMountTarget(ctx, in, o...)
}

func (c *efsCalls) DescribeFileSystems(ctx context.Context, in *efs.DescribeFileSystemsInput, o ...func(*efs.Options)) (*efs.DescribeFileSystemsOutput, error) {
	return c.describeFileSystems(ctx, in, o...)
}

func (c *efsCalls) DescribeMountTargets(ctx context.Context, in *efs.DescribeMountTargetsInput, o ...func(*efs.Options)) (*efs.DescribeMountTargetsOutput, error) {
	return c.describeMountTargets(ctx, in, o...)
}

func (c *efsCalls) TagResource(ctx context.Context, in *efs.TagResourceInput, o ...func(*efs.Options)) (*efs.TagResourceOutput, error) {
	return c.tagResource(ctx, in, o...)
}
