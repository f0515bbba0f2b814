#!/bin/sh
# The lineage of pretrained text backbones, each on the same text, for benchmarks/history.py: word2vec, GloVe, ELMo,
# ULMFiT's language model, BERT and GPT. On a GPU the last four take minutes each, on two cores hours.
#
#   sh examples/lineage.sh ../shared/data/text runs/lineage [NAME…]
set -eu
text=$1 out=$2
shift 2
mkdir -p "$out"
corpus="$text/english-general $text/debian-descriptions/en.txt.gz"
for name in ${*:-skipgram glove elmo ulmfit bert gpt}; do
  [ -f "$out/$name/pretrained.json" ] && continue
  case $name in
    skipgram | glove) headstart pretrain "$name" $corpus --out "$out/$name" ;;
    elmo) headstart pretrain elmo $corpus --out "$out/elmo" --half --set epochs=3 ;;
    ulmfit) headstart pretrain awd $corpus --out "$out/ulmfit" --half --set epochs=5 ;;
    bert) headstart pretrain mlm $corpus --out "$out/bert" --half --set size=mini --set epochs=16 ;;
    gpt) headstart pretrain clm $corpus --out "$out/gpt" --half --set size=mini --set epochs=6 ;;
  esac
done
