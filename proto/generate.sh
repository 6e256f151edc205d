#!/usr/bin/env bash
# Generates everything that comes from the .proto files, under BASE as if it were this directory: BASE/gen, with the
# descriptors, and BASE/../sdk/src/gen, with copies of the values that travel in strings and of what certificates say: the
# SDK depends on nothing of the repository. check.sh generates elsewhere and compares.
set -euo pipefail
base=$(realpath -m "${1:-$(dirname "$0")}")
cd "$(dirname "$0")"
PATH="$PWD/../node_modules/.bin:$PATH"

rm -rf "$base/gen" "$base/../sdk/src/gen"
mkdir -p "$base"
buf generate --output "$base"
buf generate --output "$base" --template buf.gen.sdk.yaml \
  --path ipam/v1/ipam_service.proto --path third_party/google/rpc
buf build --exclude-source-info --as-file-descriptor-set --output "$base/gen/descriptors.binpb"
cp src/values.ts src/identity.ts "$base/../sdk/src/gen/"
