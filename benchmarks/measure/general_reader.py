"""Read pictures with rapidocr; runs in an environment of its own that has it.

    PYTHON general_reader.py [--lines] < paths.json

Paths come as a JSON list; a line of JSON per picture, one at a time as the interface takes them. Each picture
is read as it is, without detection and orientation: its text and its score. With ``--lines`` as it comes,
with its detector: the texts of its lines, and seconds: of wall-clock and processor time to ``load`` and to
``read``, and of wall-clock time to ``detect`` and to ``recognize``.
"""

import json
import os
import sys
import time

import cv2
import rapidocr


def main() -> None:
    # its default is a thread per core of the machine; more than this process may use would only wait
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": len(os.sched_getaffinity(0))}
    reader = rapidocr.RapidOCR(params={"Global.log_level": "error", **threads})
    for path in json.load(sys.stdin):
        found = lines_of(reader, path) if "--lines" in sys.argv else text_of(reader, path)
        print(json.dumps(found), flush=True)


def text_of(reader: "rapidocr.RapidOCR", path: str) -> list[object]:
    """Text and score of a crop."""
    found = reader(cv2.imread(path), use_det=False, use_cls=False, use_rec=True)
    text, score = (found.txts or ("",))[0], (found.scores or (0.0,))[0]
    return [text, float(score)]


def lines_of(reader: "rapidocr.RapidOCR", path: str) -> dict[str, object]:
    """Lines of a whole picture, and the time that they took."""
    start = time.perf_counter(), time.process_time()
    picture = cv2.imread(path)
    loaded = time.perf_counter(), time.process_time()
    found = reader(picture)
    done = time.perf_counter(), time.process_time()
    load, read = (loaded[0] - start[0], loaded[1] - start[1]), (done[0] - loaded[0], done[1] - loaded[1])
    texts = getattr(found, "txts", None)
    detect, _, recognize = found.elapse_list if texts else (read[0], 0.0, 0.0)
    return {"lines": list(texts or ()), "load": load, "read": read, "detect": detect, "recognize": recognize}


if __name__ == "__main__":
    main()
