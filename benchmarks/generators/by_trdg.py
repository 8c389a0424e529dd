"""Render the codes by TextRecognitionDataGenerator: noisy ground, soft print; see compare.py."""

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import cv2

with redirect_stdout(sys.stderr):  # it prints a greeting on import
    from trdg.generators import GeneratorFromStrings


def main(task: Path, *how: str) -> None:
    cv2.setNumThreads(1)
    codes = (task / "codes.txt").read_text(encoding="utf-8").splitlines()
    typefaces = (task / "typefaces.txt").read_text(encoding="utf-8").splitlines()
    for _ in sys.stdin:
        rendered = GeneratorFromStrings(
            codes,
            count=len(codes),
            fonts=typefaces,
            size=32,
            skewing_angle=1,
            random_skew=True,
            blur=1,
            random_blur=True,
            background_type=0,  # a ground of Gaussian noise: its cheapest but plain white
            output_mask=bool(how),
        )
        start = time.process_time()
        made = sum(1 for _ in rendered)
        print(time.process_time() - start, flush=True)
        assert made == len(codes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
