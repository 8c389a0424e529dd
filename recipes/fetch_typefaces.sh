#!/usr/bin/env bash
# Download the typefaces named in typefaces.md: recipes/fetch_typefaces.sh [FOLDER] (default: runs/typefaces of this
# repository). Downloads stay in FOLDER/packages, so that a second run only fetches what is missing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../runs/typefaces}
python=${PYTHON:-$here/../.venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=python3

missing=()
command -v "$python" >/dev/null || missing+=("Python ($python): install Python 3.11 or later, or name one in PYTHON")
for module in fontTools brotli; do
    "$python" -c "import $module" 2>/dev/null || missing+=("$module for $python: $python -m pip install '.[typefaces]'")
done
for command in apt-get dpkg; do
    command -v $command >/dev/null || missing+=("$command: run this on Debian or Ubuntu")
done
command -v npm >/dev/null || missing+=("npm: sudo apt-get install npm")

named() { # the words of one fenced list of typefaces.md
    awk -v list="\`\`\`$1" '$0 == list {on = 1; next} /^```/ {on = 0} on' "$here/typefaces.md" | tr -s ' ' '\n' | grep .
}
packages=$folder/packages
debian=() npm=()
for name in $(named debian); do
    compgen -G "$packages/${name}_*.deb" >/dev/null || debian+=("$name")
done
for name in $(named npm); do
    [ -e "$packages/fontsource-${name/@/-}.tgz" ] || npm+=("$name")
done
if [ ${#missing[@]} -eq 0 ] && [ ${#debian[@]} -gt 0 ]; then
    apt-get -q download --print-uris "${debian[0]}" >/dev/null 2>&1 || missing+=("Debian's list of packages: sudo apt-get update")
fi
if [ ${#missing[@]} -eq 0 ] && [ ${#npm[@]} -gt 0 ]; then
    npm ping --silent --fetch-retries=0 --fetch-timeout=5000 >/dev/null 2>&1 ||
        missing+=("network: npm's registry does not answer; connect, or set npm's registry and proxy")
fi
if [ ${#missing[@]} -gt 0 ]; then
    printf 'missing: %s\n' "${missing[@]}" >&2
    exit 1
fi

mkdir -p "$packages" "$folder/debian" "$folder/npm"
folder=$(cd "$folder" && pwd)
packages=$folder/packages
failed=0

cd "$packages"
for name in "${debian[@]}"; do
    apt-get download -q "$name" || { echo "not downloaded: $name" >&2; failed=$((failed + 1)); }
done
for name in "${npm[@]}"; do
    npm pack --silent --ignore-scripts "@fontsource/$name" >/dev/null ||
        { echo "not downloaded: $name" >&2; failed=$((failed + 1)); }
    sleep 0.2
done
cd - >/dev/null

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
shopt -s nullglob
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
if [ "$failed" -gt 0 ]; then
    echo "$failed packages not downloaded: check the network, run sudo apt-get update, then run this again" >&2
    exit 1
fi
