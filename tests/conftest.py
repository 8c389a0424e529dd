"""Settings for all tests; read before numpy and torch are imported."""

import os

# OpenMP threads wait for one another in every layer. Where other processes use the cores, each wait costs a
# time slice of the scheduler: small networks run 5 to 17 times slower than with one thread, as if they hung.
os.environ.setdefault("OMP_NUM_THREADS", "1")
