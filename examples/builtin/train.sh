#!/usr/bin/env bash
# Trains builtin/glance anew: examples/builtin/train.sh DATA OUT, where DATA holds image/cifar10 and image/icons.
# Two stages, as the weights in the package were made: the second goes on with more letters. About an hour on one core.
# Handwriting faces: apt-get install fonts-breip fonts-kristi fonts-dkg-handwriting fonts-femkeklaver fonts-rufscript \
#   fonts-ecolier-court fonts-isabella fonts-tomsontalks fonts-sjfonts fonts-comic-neue fonts-humor-sans \
#   fonts-dancingscript fonts-lobster fonts-aoyagi-soseki fonts-play fonts-ubuntu-title
set -euo pipefail
data="$1" out="$2"
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$data/image/cifar10/train.parquet" "$work/cifar10.parquet"
themes=()
for theme in adwaita breeze elementary gnome mate oxygen tango; do themes+=("$data/image/icons/$theme.parquet"); done
python "$here/icons.py" "$work/icons.parquet" "${themes[@]}"
python "$here/glyphs.py" "$work/glyphs.parquet" --each 400
headstart pretrain classify "$work"/{cifar10,glyphs,icons}.parquet --set epochs=10 --half --out "$work/first"
python "$here/glyphs.py" "$work/glyphs.parquet" --each 1000 --fonts /usr/share/fonts
headstart pretrain classify "$work"/{cifar10,glyphs,icons}.parquet --from "$work/first" \
  --set epochs=5 --set learning_rate=2e-3 --half --out "$out"
