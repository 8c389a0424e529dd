"""Write recipes/typefaces.csv: every usable typeface of a folder that recipes/fetch_typefaces.sh made.

python benchmarks/typefaces_table.py [FOLDER] [TABLE]
"""

import csv
import hashlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from serialread.synth import fonts

COLUMNS = ["name", "family", "caps_only", "held_out", "package", "version", "licence", "file", "sha256"]


def debian_package(file: Path) -> tuple[str, str, str]:
    """Name, version and licences of a .deb; those of its packaging left out."""
    name, version = subprocess.run(
        ["dpkg-deb", "-f", file, "Package", "Version"], capture_output=True, text=True, check=True
    ).stdout.split("\n")[:2]
    listing = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], capture_output=True, check=True).stdout
    copyright_file = f"./usr/share/doc/{name.split(': ')[1]}/copyright"
    text = subprocess.run(
        ["tar", "-xO", copyright_file], input=listing, capture_output=True, check=False
    ).stdout
    return name.split(": ")[1], version.split(": ")[1], licences(text.decode("utf-8", "replace"))


def licences(text: str) -> str:
    """Short names from a machine-readable copyright file."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        files, licence = (
            re.search(r"^Files:\s*(.*)", stanza, re.M),
            re.search(r"^License:[ \t]*(.+)", stanza, re.M),
        )
        if files and licence and not files[1].startswith("debian"):
            found.append(licence[1].strip())
    return " | ".join(dict.fromkeys(found)) or "see the package's copyright file"


def npm_package(file: Path) -> tuple[str, str, str]:
    """Name, version and licence of an npm package."""
    with tarfile.open(file) as archive:
        about = json.load(archive.extractfile("package/package.json"))
    return about["name"], about["version"], str(about.get("license", "see the package"))


def main(folder: Path, table: Path) -> None:
    debian = {p.name.split("_")[0]: debian_package(p) for p in sorted(folder.glob("packages/*.deb"))}
    npm = {n[0].split("/")[1]: n for n in map(npm_package, sorted(folder.glob("packages/*.tgz")))}
    with table.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(COLUMNS)
        for face in fonts.outline_faces((folder,)):
            if folder not in face.path.parents:
                source = ("serialread", "", f"synth/typefaces/{face.path.parent.name}/LICENSE.txt")
            elif face.path.parent.name == "npm":
                source = npm[face.path.name.split("-latin-")[0]]
            else:
                source = debian[face.path.parent.name]
            digest = hashlib.sha256(face.path.read_bytes()).hexdigest()
            held = fonts.held_out(face.name)
            rows.writerow([face.name, face.family, face.caps_only, held, *source, face.path.name, digest])


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    main(Path(given.get(0, "runs/typefaces")), Path(given.get(1, "recipes/typefaces.csv")))
