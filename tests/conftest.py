"""Settings for all tests; read before numpy and torch are imported."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
