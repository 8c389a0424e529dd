#!/usr/bin/env bash
# Draw docs/images/ and docs/example/ again from sample_images/: run in the repository root, with serialread, its
# extras web and browser, and a headless chromium on the path.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export OMP_NUM_THREADS=1
python=${PYTHON:-python}

"$python" -m serialread model explain sample_images/machining/01.jpg --out "$place/explain.png"
"$python" -m serialread station normalize sample_images/press-shop/06.jpg --station calib/bench-camera.toml \
    --out "$place/normalize.png"
"$python" -m serialread read sample_images --out "$place/results"
"$python" -m serialread audit "$place/results" --truth sample_images/labels.csv --batches docs/example/batches.csv \
    --out "$place/audit"
cp "$place/audit/report.html" "$place/audit/audit.md" docs/example/
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1100,900 \
    --screenshot="$place/report.png" "file://$place/audit/report.html"
"$python" docs/photograph_pictures.py docs/images
"$python" tests/browser/screenshot.py "$place/results" "$place/review.png"
for name in explain normalize report review; do
    "$python" -c 'import sys; from PIL import Image
Image.open(sys.argv[1]).convert("RGB").quantize(192, dither=Image.Dither.NONE).save(sys.argv[2], optimize=True)' \
        "$place/$name.png" "docs/images/$name.png"
done
