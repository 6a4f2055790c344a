#!/bin/sh
# The whole life of the seed's cluster, on a local cloud that runs only as long
# as this script: up, status, diff, teardown. Leaves nothing behind.
set -eu
cd "$(dirname "$0")/.."
speed="${SPEED:-60}"

if [ -z "${AICLUSTER_DEMO:-}" ]; then
  echo "starting a local cloud that is $speed times as fast as AWS"
  AICLUSTER_DEMO=1 exec bin/localcloud run --speed "$speed" -- sh e2e/demo.sh
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cp blueprints/ai-serving.yaml "$work/"
model="$work/models/Llama-3.1-8B-Instruct"
mkdir -p "$model"
for i in 1 2 3 4; do
  dd if=/dev/urandom of="$model/model-0000$i-of-00004.safetensors" bs=1M count=16 2>/dev/null
done
echo '{"model_type": "llama"}' > "$model/config.json"

run() {
  echo
  echo "\$ aicluster $*"
  bin/aicluster "$@"
}

run up --yes "$work/ai-serving.yaml"
run status "$work/ai-serving.yaml"
run diff "$work/ai-serving.yaml"
echo "nothing differs (exit 0)"
run teardown --yes --delete-models "$work/ai-serving.yaml"
echo
echo "the cluster came up, was proven, and is gone"
