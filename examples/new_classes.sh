#!/usr/bin/env bash
# Four of CIFAR-10's classes (the last of the alphabet) with 1,250 training images each, and a backbone made as
# builtin/glance is, but without them: what `benchmarks/run.py curve --data new-classes` measures.
#   examples/new_classes.sh DATA OUT
# About half an hour on one core; makes OUT/four and OUT/backbone.
set -euo pipefail
data="$1" out="$2"
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/four"
python - "$data/image/cifar10" "$work/six.parquet" "$out/four" <<'PYTHON'
import sys

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

source, six, four = sys.argv[1:]
for split in ("train", "test"):
    table = pq.read_table(f"{source}/{split}.parquet")
    known = pc.less(table["label"], "frog")
    if split == "train":
        pq.write_table(table.filter(known), six)
    new = table.filter(pc.invert(known))
    labels = np.array(new["label"].to_pylist())
    rows = np.concatenate([np.flatnonzero(labels == label)[:1250] for label in np.unique(labels)])
    pq.write_table(new.take(rows), f"{four}/{split}.parquet")
PYTHON
themes=()
for theme in adwaita breeze elementary gnome mate oxygen tango; do themes+=("$data/image/icons/$theme.parquet"); done
python "$here/builtin/icons.py" "$work/icons.parquet" "${themes[@]}"
headstart pretrain classify "$work"/{six,icons}.parquet --label label --set epochs=8 --half --out "$out/backbone"
