"""Placeholder while the room is built."""


def normalize() -> None:
    """Not yet."""
