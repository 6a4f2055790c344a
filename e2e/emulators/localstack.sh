#!/usr/bin/env bash
# Runs aicluster against LocalStack (https://docs.localstack.cloud), another emulator of AWS.
# Its free edition has no EKS: that has to be said clearly, all else has to work. Needs Docker.
set -euo pipefail
cd "$(dirname "$0")/.."

image=${LOCALSTACK_IMAGE:-localstack/localstack:4.9}
name=aicluster-e2e-localstack
docker run --rm --detach --name $name --publish 127.0.0.1:4566:4566 \
  --env SERVICES=ec2,iam,sts,s3,logs,eks,autoscaling,elb,elbv2 "$image" >/dev/null
trap 'docker logs $name >../bin/localstack.log 2>&1; docker stop $name >/dev/null' EXIT

export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=localstack-secret EMULATOR=localstack
for _ in $(seq 300); do
  curl --silent --fail --output /dev/null "$AWS_ENDPOINT_URL/_localstack/health" && break
  sleep 0.5
done
go test -count=1 -tags emulator -run '^TestEmulator$' -v .
