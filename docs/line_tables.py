"""Write the tables of docs/line/ that come from the code: ``make docs-reference``."""

import re
from pathlib import Path

from serialread.line.handshake import REGISTER_MAP
from serialread.line.mqtt import TOPICS

FOLDER = Path(__file__).with_name("line")


def registers() -> list[tuple[str, ...]]:
    """The registers of the Modbus server."""
    rows = [("address", "name", "written by", "value")]
    for field in REGISTER_MAP:
        last = f" - {field.address + field.count - 1}" if field.count > 1 else ""
        rows.append((f"{field.address}{last}", field.name, field.written_by, field.meaning))
    return rows


def topics() -> list[tuple[str, ...]]:
    """The topics of MQTT."""
    kept = {True: "yes", False: "no"}
    rows = [(f"`{one.name}`", one.direction, kept[one.retained], one.meaning) for one in TOPICS]
    return [("topic", "direction", "retained", "message"), *rows]


TABLES = {"modbus.md": ("registers", registers), "mqtt.md": ("topics", topics)}


def page(name: str) -> str:
    """A page with its table as the code says."""
    marker, table = TABLES[name]
    head, *rows = (f"| {' | '.join(row)} |" for row in table())
    lines = "\n".join([head, "|---" * head.count(" | ") + "|---|", *rows])
    text = (FOLDER / name).read_text(encoding="utf-8")
    place = rf"(<!-- {marker}: make docs-reference writes the table -->\n).*?(<!-- end -->)"
    before, start, end, after = re.split(place, text, flags=re.DOTALL)
    return f"{before}{start}\n{lines}\n\n{end}{after}"


if __name__ == "__main__":
    for name in TABLES:
        (FOLDER / name).write_text(page(name), encoding="utf-8")
