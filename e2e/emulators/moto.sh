#!/usr/bin/env bash
# Runs aicluster against moto (https://docs.getmoto.org), another emulator of AWS: what it
# lacks has to be said clearly, all else has to work. Needs python3 and PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=../bin/moto
[ -x $venv/bin/moto_server ] || { python3 -m venv $venv && $venv/bin/pip install --quiet -r emulators/requirements.txt; }

port=${MOTO_PORT:-5055}
# moto knows AWS's managed policies only when it is asked to.
MOTO_IAM_LOAD_MANAGED_POLICIES=true $venv/bin/moto_server -H 127.0.0.1 -p "$port" >../bin/moto.log 2>&1 &
trap 'kill $!' EXIT

export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=moto-key AWS_SECRET_ACCESS_KEY=moto-secret-key EMULATOR=moto
for _ in $(seq 300); do
  curl --silent --fail --output /dev/null "$AWS_ENDPOINT_URL/moto-api/" && break
  sleep 0.2
done
go test -count=1 -tags emulator -run '^TestEmulator$' -v .
