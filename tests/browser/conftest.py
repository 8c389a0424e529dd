"""One application for all browser tests."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def application() -> Any:
    from PySide6.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])
