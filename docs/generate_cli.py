"""Write docs/cli.md from the help of the command line: ``make docs-reference``."""

from html import unescape
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from serialread.cli import app

PAGE = Path(__file__).with_name("cli.md")


def page() -> str:
    """The page: every command with its arguments and options."""
    command = typer.main.get_command(app)
    context = command.context_class(command, info_name="serialread", **command.context_settings)
    text = get_docs_for_click(obj=command, ctx=context, name="serialread", title="Command line")
    return unescape(text).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
