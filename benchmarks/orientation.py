"""How well the network recognizes the orientation of a line: every crop as it is, and rotated by 180 degrees.

    python benchmarks/orientation.py FOLDER STORE [--model FILE] [--count 1000]

FOLDER holds sets of labelled crops (<set>/images, <set>/labels.csv with filename,text), STORE rendered ones.
Codes that are codes upside down, too, are left out. Alone: right by the sign of its log-odds; compared: the
upright one has more; certain: upright, by SURE_ODDS; wrongly certain: upside down, and taken for upright.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from serialread.calibration import load_labelled
from serialread.codes import reads_upside_down
from serialread.config import StationView
from serialread.datasets import SampleStore
from serialread.imaging import load_image, normalize
from serialread.inference.session import Engine
from serialread.reader.orientation import SURE_ODDS
from serialread.reader.scheduler import recognize_alone
from serialread.records import Pixels
from serialread.weights import shipped_model


def crops_of(folder: Path, store: Path, count: int) -> Iterator[tuple[str, list[tuple[Pixels, str]]]]:
    for place in sorted(path.parent for path in folder.glob("*/labels.csv")):
        known = load_labelled(place)
        pixels = (normalize(load_image(p.path), StationView()).pixels for p in known.pictures)
        yield place.name, list(zip(pixels, known.truths, strict=True))
    samples = SampleStore(store)
    yield "rendered", [(s.pixels, s.text) for s in (samples[i] for i in range(min(count, len(samples))))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    args = parser.parse_args()
    engine = Engine(args.model or shipped_model(), outputs=None)
    print(f"model {engine.card.model_id}\n")
    print("| crops | of one orientation | alone % | compared % | certain % | wrongly % | surely wrong % |")
    print("|---|---|---|---|---|---|---|")
    for name, crops in crops_of(args.folder, args.store, args.count):
        as_is = [pixels for pixels, text in crops if not reads_upside_down(text)]
        rotated = [np.ascontiguousarray(pixels[::-1, ::-1]) for pixels in as_is]
        right, over = (
            np.array([one.upright for one in recognize_alone(engine, some)], float)
            for some in (as_is, rotated)
        )
        shares = (
            ((right > 0).mean() + (over < 0).mean()) / 2,
            (right > over).mean(),
            (right >= SURE_ODDS).mean(),
            (over >= SURE_ODDS).mean(),
            (over - right >= SURE_ODDS).mean(),
        )
        cells = " | ".join(f"{100 * share:.1f}" for share in shares)
        print(f"| {name} | {len(as_is)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
