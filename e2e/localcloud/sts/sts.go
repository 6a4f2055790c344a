// Package sts plays the AWS Security Token Service: who a caller is, and
// temporary keys of roles. That the caller is who it says has been checked by
// the wire layer, also for presigned requests.
package sts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/wire"
)

// Service is STS of the one account.
type Service struct {
	iam  *iam.Service
	keys func(wire.Key) // makes the wire layer accept a key
}

// New returns a service that knows the roles of i.
func New(i *iam.Service) *Service { return &Service{iam: i} }

// Register adds STS's operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("sts", "sts", goFiles)
	s.keys = w.AddKey
	wire.Handle(w, "sts", s.getCallerIdentity)
	wire.Handle(w, "sts", s.assumeRole)
}

func (s *Service) getCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	c := wire.CallerOf(ctx)
	return &sts.GetCallerIdentityOutput{Account: aws.String(c.AccountID), Arn: aws.String(c.ARN), UserId: aws.String(c.UserID)}, nil
}

// assumeRole hands out keys of a role that trusts the caller. They are not taken
// back when they expire: nothing here lives that long.
func (s *Service) assumeRole(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	caller := wire.CallerOf(ctx)
	role, ok := s.iam.Role(*in.RoleArn)
	if !ok || !role.TrustsPrincipal(caller.ARN) {
		return nil, &wire.Error{Code: "AccessDenied", Status: http.StatusForbidden, Message: fmt.Sprintf("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", caller.ARN, *in.RoleArn)}
	}
	lasts := time.Hour
	if in.DurationSeconds != nil {
		lasts = time.Duration(*in.DurationSeconds) * time.Second
	}
	switch {
	case lasts > role.MaxSession:
		return nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case lasts > time.Hour && strings.Contains(caller.ARN, ":assumed-role/"):
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	arn := fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", wire.AccountID, role.Name, *in.RoleSessionName)
	key := wire.Key{
		ID: "ASIA" + strings.ToUpper(hex.EncodeToString(random(8))), Secret: base64.StdEncoding.EncodeToString(random(30)),
		SessionToken: base64.StdEncoding.EncodeToString(random(96)),
		Caller:       wire.Caller{AccountID: wire.AccountID, ARN: arn, UserID: role.ID + ":" + *in.RoleSessionName},
	}
	s.keys(key)
	return &sts.AssumeRoleOutput{
		AssumedRoleUser: &types.AssumedRoleUser{Arn: aws.String(arn), AssumedRoleId: aws.String(key.Caller.UserID)},
		Credentials: &types.Credentials{
			AccessKeyId: aws.String(key.ID), SecretAccessKey: aws.String(key.Secret), SessionToken: aws.String(key.SessionToken),
			Expiration: aws.Time(time.Now().Add(lasts).UTC().Truncate(time.Second)),
		},
	}, nil
}

func invalid(message string) error {
	return &wire.Error{Code: "ValidationError", Message: message}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
