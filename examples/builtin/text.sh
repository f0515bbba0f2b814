#!/usr/bin/env bash
# Trains builtin/gist anew: examples/builtin/text.sh DATA OUT, where DATA holds text/english-general and
# text/debian-descriptions. Masked language modelling, then a contrast of the two parts of a paragraph. Wants a GPU.
set -euo pipefail
data="$1" out="$2"
here="$(cd "$(dirname "$0")" && pwd)"
texts=("$data/text/english-general" "$data/text/debian-descriptions/en.txt.gz")
headstart pretrain mlm "${texts[@]}" --out "$out-mlm" --set size="$here/text.json" --set vocabulary=11520 \
  --set length=256 --set batch_tokens=32768 --set epochs="${EPOCHS:-30}" --set learning_rate=1e-3
headstart pretrain declutr "${texts[@]}" --from "$out-mlm" --out "$out" --set length=256 --set batch_tokens=32768 \
  --set epochs="${CONTRAST:-5}"
