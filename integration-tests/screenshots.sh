#!/usr/bin/env bash
# Pictures of the status pages at two widths: with a dead datanode, a corrupt file, jobs of both modes and one that failed, in OUT
# (default: target/screenshots).
# Needs Chromium (Debian: apt-get install chromium) and the built programs (cargo build --workspace --bins).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/screenshots}
bin=${MAMMOTH_BIN:-target/debug}
browser=$(command -v chromium || command -v chromium-browser || true)
[ -n "$browser" ] || { echo "no chromium: apt-get install chromium" >&2; exit 1; }
mkdir -p "$out"
dir=$(mktemp -d)
profile=$(mktemp -d)
trap '"$bin/mammoth" down --dir "$dir" >/dev/null 2>&1 || true; rm -rf "$dir" "$profile"' EXIT

"$bin/mammoth" up --dir "$dir" --processes --detach --port-base 0 \
  -D dfs.heartbeat.interval=200ms -D dfs.namenode.heartbeat.recheck-interval=500 \
  -D dfs.blocksize=1m -D dfs.namenode.redundancy.interval.seconds=200ms >/dev/null
. "$dir/env"

shoot() { # NAME PATH [BASE]: one picture at each width
  for width in 1280 390; do
    "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
      --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$profile" \
      --window-size="$width,1400" --virtual-time-budget=2000 \
      --screenshot="$out/$1-$width.png" "${3:-$MAMMOTH_HTTP}$2" >/dev/null 2>&1
    echo "$out/$1-$width.png"
  done
}

"$bin/dfs" mkdir -p /data/2026 /tmp
head -c 3500000 /dev/urandom | "$bin/dfs" put - /data/2026/measurements.bin
head -c 200000 /dev/urandom | "$bin/dfs" put - /data/broken.bin
"$bin/dfs" put README.md /data/readme.md
shoot healthy /
shoot folder "/explorer?path=/data"
shoot file "/explorer?path=/data/2026/measurements.bin"

"$bin/mapred" run wordcount /data/readme.md /out/disk 2>/dev/null
"$bin/mapred" run --mode memory wordcount /data/readme.md /out/memory 2>/dev/null
# A job whose task panics, four times.
"$bin/mapred" run "$bin/test-jobs" misbehave always-panic /data/readme.md /out/failed 2>/dev/null || true
jobtracker=$MAMMOTH_JOBTRACKER
job() { "$bin/mapred" job -list all 2>/dev/null | grep -o "job_[0-9]*_[0-9]*" | sed -n "$1p"; }
app=$(curl -s "$jobtracker/api/v1/apps" | grep -o "application_[0-9]*_[0-9]*" | head -1)
shoot jobtracker / "$jobtracker"
shoot job "/jobs/$(job 1)" "$jobtracker"
shoot failed-job "/jobs/$(job 2)" "$jobtracker"
shoot application "/apps/$app" "$jobtracker"

# A file of which every replica is bad.
id=$("$bin/dfs" cat /data/broken.bin | wc -c >/dev/null; curl -s "$MAMMOTH_HTTP/api/v1/blocks?path=/data/broken.bin" |
  sed 's/.*"block":{"id":\([0-9]*\).*/\1/')
for replica in $(find "$dir/data" -name "blk_$id"); do
  printf 'x' | dd of="$replica" bs=1 seek=1000 conv=notrunc 2>/dev/null
done
"$bin/dfs" cat /data/broken.bin >/dev/null 2>&1 || true
# A datanode that died.
kill -9 "$(grep -A2 '"name": "datanode-3"' "$dir/cluster.json" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -1)"
for _ in $(seq 100); do
  curl -s "$MAMMOTH_HTTP/api/v1/status" | grep -q '"dead":1' && break
  sleep 0.2
done
shoot trouble /
shoot broken-file "/explorer?path=/data/broken.bin"
shoot missing "/explorer?path=/no/such"
