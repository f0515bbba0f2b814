#!/bin/sh
# Two small BERTs that the benchmark crosslingual compares: one of seven languages, one of English alone, with the same
# tokenizer, shape and about as many steps. Languages of which there is little are named several times, so that they are
# seen more often. On an H100 about 4 minutes each, on two cores some hours.
#
#   sh examples/crosslingual.sh ../shared/data/text/debian-descriptions runs/crosslingual
set -eu
text=$1 out=$2
mkdir -p "$out"
all=
for times in en:1 it:1 fr:1 de:2 pt_BR:3 ru:5 ja:4; do
  language=${times%:*} count=${times#*:}
  while [ "$count" -gt 0 ]; do
    all="$all $text/$language.txt.gz" count=$((count - 1))
  done
done
headstart pretrain mlm $all --out "$out/multi" --half --set lowercase=false --set batch_tokens=16384 --set epochs=10
headstart pretrain mlm "$text/en.txt.gz" --out "$out/control" --half --set tokenizer="$out/multi" \
  --set batch_tokens=16384 --set epochs=37
