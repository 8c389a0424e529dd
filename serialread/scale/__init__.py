"""Work beyond one process: shards that local processes or a Ray cluster render and read."""

from serialread.scale.engines import Processes, RayActors, runner_of
from serialread.scale.rendered_shards import generate_shards
from serialread.scale.sharded_reading import ShardedRun, read_shards

__all__ = ["Processes", "RayActors", "ShardedRun", "generate_shards", "read_shards", "runner_of"]
