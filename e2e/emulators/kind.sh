#!/usr/bin/env bash
# Runs aicluster against the local cloud with a kind cluster behind EKS in the place of the
# control plane that the local cloud brings. Needs Docker, kind and kubectl.
set -euo pipefail
cd "$(dirname "$0")/.."

name=aicluster-e2e region=us-west-2 port=${LOCALCLOUD_PORT:-4599}
dir=$(mktemp -d)
cloud=
finish() {
  [ -z "$cloud" ] || kill "$cloud" && wait
  kind delete cluster --name $name
  rm -rf "$dir"
}
trap finish EXIT

# Nodes and what runs on them are the local cloud's: kind's own node and add-ons make way.
kind create cluster --name $name --kubeconfig "$dir/kubeconfig" --config - <<CONFIG
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {disableDefaultCNI: true}
CONFIG
export KUBECONFIG=$dir/kubeconfig
kubectl delete namespace local-path-storage
kubectl --namespace kube-system delete deployment/coredns daemonset/kube-proxy
kubectl delete node --all

# The API server asks the local cloud about tokens, which it reaches at the gateway of kind's network.
gateway=$(docker network inspect kind --format '{{range .IPAM.Config}}{{.Gateway}} {{end}}' | tr ' ' '\n' | grep -F . | head -1)
docker exec -i $name-control-plane sh -c 'cat >/etc/kubernetes/pki/localcloud.kubeconfig' <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: localcloud, cluster: {server: "http://$gateway:$port/_localcloud/eks/authenticate/$region/kind"}}]
contexts: [{name: localcloud, context: {cluster: localcloud, user: localcloud}}]
users: [{name: localcloud, user: {}}]
current-context: localcloud
CONFIG
docker exec $name-control-plane sed -i \
  -e '/^    - kube-apiserver$/a\    - --authentication-token-webhook-config-file=/etc/kubernetes/pki/localcloud.kubeconfig' \
  -e '/^    - kube-apiserver$/a\    - --authentication-token-webhook-version=v1' \
  /etc/kubernetes/manifests/kube-apiserver.yaml
sleep 5 # until the kubelet has seen it
until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 1; done

../bin/localcloud serve --dir "$dir/cloud" --speed 60 --addr "$gateway:$port" --kubernetes "$KUBECONFIG" >../bin/kind-localcloud.log 2>&1 &
cloud=$!
until [ -e "$dir/cloud/env" ]; do kill -0 $cloud; sleep 0.2; done
# shellcheck source=/dev/null
. "$dir/cloud/env"
EMULATOR=kind go test -count=1 -tags emulator -run '^TestEmulator$' -v .
