#!/bin/sh
# The lineage of pretrained backbones for the benchmark history. Of text: word2vec, GloVe, ELMo, ULMFiT's language model
# (which goes on on the training texts of each task) and GPT; the BERT is builtin/gist. Of images: a CNN and a ViT on
# CIFAR-10 and the contexts of seven icon themes, and CLIP on the captions of the themes; none has seen papirus. On a
# GPU most take a minute or three each, on two cores up to hours: one pass, in small batches, since a processor is as
# fast with these and a model learns in steps; of ULMFiT's texts the shorter ones. There is a GPT for patience, and one
# for two cores.
#
#   sh examples/lineage.sh ../shared/data runs/lineage [NAME…]
set -eu
data=$1 out=$2 here=$(dirname "$0")
shift 2
mkdir -p "$out"
general="$data/text/english-general" packages="$data/text/debian-descriptions/en.txt.gz"
text="$general $packages" small="--half --set samples=1024 --set batch_tokens=4096"
themes=
for theme in adwaita breeze elementary gnome mate oxygen tango; do
  themes="$themes $data/image/icons/$theme.parquet"
done
pretrain() { # OBJECTIVE NAME SOURCES AND SETTINGS…
  [ -f "$out/$2/pretrained.json" ] || { o=$1 n=$2; shift 2; headstart pretrain "$o" "$@" --out "$out/$n"; }
}
pictures() { # NAME SETTINGS…
  [ -f "$out/icons.parquet" ] || python "$here/builtin/icons.py" "$out/icons.parquet" $themes
  name=$1
  shift
  pretrain classify "$name" "$data/image/cifar10/train.parquet" "$out/icons.parquet" --label label "$@"
}
for name in ${*:-skipgram glove elmo ulmfit gpt gpt-tiny cnn vit clip}; do
  case $name in
    skipgram | glove) pretrain "$name" "$name" $text ;;
    elmo) pretrain elmo elmo $text --half --set epochs=1 --set samples=1024 --set batch_tokens=2048 --set length=32 ;;
    ulmfit)
      pretrain awd ulmfit "$general/foldoc.txt.gz" "$general/fortunes.txt.gz" "$general/wordnet.txt.gz" $packages \
        $small --set epochs=1
      for task in sst2 debian-sections; do
        pretrain awd "ulmfit-$task" "$data/text/$task/train.csv" --text text --from "$out/ulmfit" $small --set epochs=5
      done
      ;;
    gpt) pretrain clm gpt $text $small --set epochs=1 ;;
    gpt-tiny) pretrain clm gpt-tiny $text $small --set epochs=1 --set size=tiny ;;
    cnn) pictures cnn --half --set epochs=6 ;;
    vit)
      pictures vit --half --set epochs=4 --set architecture=vit_tiny_patch16_224 --set patch_size=12 --set depth=6 \
        --set augment=cutmix --set ema=0.999
      ;;
    clip) pretrain clip clip $themes --text caption,context --half --set epochs=20 ;;
  esac
done
