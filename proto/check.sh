#!/usr/bin/env bash
# Holds two promises: what is committed under gen is what the .proto files generate, and the wire contract still
# serves everyone who was built with an earlier one.
#
# "Earlier" is, in this order:
#   1. the newest reachable release tag (v*): what installations run;
#   2. without a release, on a branch, where it left main: what others build on;
#   3. on main, the state before the last commit that changed a .proto. The parent of HEAD would show a break in one
#      run only, and hide it when several commits are pushed at once.
# A break on purpose is declared by a trailer `Breaking-Change: WHY` in a commit since then; it is shown, not refused.
set -euo pipefail
cd "$(dirname "$0")"
PATH="$PWD/../node_modules/.bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

./generate.sh "$work/now/proto"
if ! diff -r "$work/now/proto/gen" gen || ! diff -r "$work/now/sdk/src/gen" ../sdk/src/gen; then
  echo 'Generated code differs from the .proto files: run `npm run generate` and commit what it changes' >&2
  failed=1
fi

baseline() {
  git describe --tags --abbrev=0 --match 'v*' 2>/dev/null && return
  local main fork
  for main in origin/main main; do
    fork=$(git merge-base HEAD "$main" 2>/dev/null) || continue
    [ "$fork" = "$(git rev-parse HEAD)" ] || { echo "$fork"; return; }
  done
  local changed
  changed=$(git log -1 --format=%H -- '*.proto' ':!third_party' 2>/dev/null)
  [ -z "$changed" ] || git rev-parse --quiet --verify "$changed^" || true
}

since=$(baseline)
if [ -z "$since" ]; then
  echo 'Breaking changes: nothing earlier to compare with (first commit, shallow clone, or no repository)'
  exit "$failed"
fi
mkdir "$work/earlier"
# From an archive: buf's own git input clones only the newest commits.
git -C .. archive "$since" proto | tar -x -C "$work/earlier"
if buf breaking --against "$work/earlier/proto"; then
  echo "Breaking changes: none since $since"
elif git log --format='%(trailers:key=Breaking-Change)' "$since..HEAD" | grep .; then
  echo "Breaking changes since $since: declared, as above"
else
  echo "Breaking changes since $since: not declared (see the head of proto/check.sh)" >&2
  failed=1
fi
exit "$failed"
