#!/usr/bin/env bash
# Lay the typefaces named in typefaces.md into a folder: fetch_typefaces.sh [FOLDER] (runs/typefaces unless told).
# What was downloaded stays in FOLDER/packages, so that a second run only fetches what is missing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-runs/typefaces}
python=${PYTHON:-.venv/bin/python}

named() { # the words of one fenced list of typefaces.md
    awk -v list="\`\`\`$1" '$0 == list {on = 1; next} /^```/ {on = 0} on' "$here/typefaces.md" | tr -s ' ' '\n' | grep .
}

"$python" -c 'import brotli, fontTools' || { echo "$python lacks fontTools or brotli: install both." >&2; exit 1; }
mkdir -p "$folder/packages" "$folder/debian" "$folder/npm"
packages=$(cd "$folder/packages" && pwd)

cd "$packages"
for name in $(named debian); do
    compgen -G "${name}_*.deb" >/dev/null || apt-get download -q "$name" || echo "$name: not to be had" >&2
done
for name in $(named npm); do
    [ -e "fontsource-${name/@/-}.tgz" ] && continue
    npm pack --silent --ignore-scripts "@fontsource/$name" >/dev/null || echo "$name: not to be had" >&2
    sleep 0.2
done
cd - >/dev/null

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
for file in "$packages"/*.deb; do
    dpkg -x "$file" "$unpacked/$(basename "$file" | cut -d_ -f1)"
done

"$python" - "$unpacked" "$packages" "$folder" <<'PY'
import io, shutil, sys, tarfile
from pathlib import Path

from fontTools.ttLib import TTFont

unpacked, packages, folder = map(Path, sys.argv[1:])
LARGEST = 1_500_000  # bytes; larger files are Chinese or Japanese, and slow to open

for path in sorted(unpacked.rglob("*")):
    if path.suffix.lower() in (".ttf", ".otf") and path.is_file() and not path.is_symlink():
        if path.stat().st_size < LARGEST:
            home = folder / "debian" / path.relative_to(unpacked).parts[0]
            home.mkdir(exist_ok=True)
            shutil.copyfile(path, home / path.name)

for package in sorted(packages.glob("*.tgz")):
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            name = Path(member.name).name
            if name.endswith(("400-normal.woff2", "700-normal.woff2")) and "-latin-" in name and "-ext-" not in name:
                font = TTFont(io.BytesIO(archive.extractfile(member).read()), recalcTimestamp=False)
                font.flavor = None
                font.save(folder / "npm" / name.replace(".woff2", ".ttf"))
PY
echo "$folder: $(find "$folder/debian" "$folder/npm" -type f | wc -l) files"
