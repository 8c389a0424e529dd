"""Read industrial serial numbers, from pictures of marked parts to an audited table.

``__init__.pyi`` lists the public interface; docs/api.md documents it. Its names are imported when first used:
``import serialread`` is fast and loads neither OpenCV nor a network library. Everything else in the
package is private and may change without notice.
"""

import lazy_loader

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
