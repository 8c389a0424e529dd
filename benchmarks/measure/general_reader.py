"""Read pictures with rapidocr's recognizer alone; runs in an environment of its own that has it.

    PYTHON general_reader.py < paths.json

Paths come as a JSON list. Each picture is read as it is, without detection and orientation, one at a time as
the interface takes them; a line of JSON per picture: its text and its score.
"""

import json
import sys

import cv2
import rapidocr


def main() -> None:
    reader = rapidocr.RapidOCR(params={"Global.log_level": "error"})
    for path in json.load(sys.stdin):
        found = reader(cv2.imread(path), use_det=False, use_cls=False, use_rec=True)
        text, score = (found.txts or ("",))[0], (found.scores or (0.0,))[0]
        print(json.dumps([text, float(score)]), flush=True)


if __name__ == "__main__":
    main()
