"""What the user asks for: typed recipes for data, training and stations, each read from one TOML file.

The names are imported when first used: a reader needs no recipes, whose sections take a quarter of a second.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
