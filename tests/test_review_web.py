"""The review page answers its own requests and no others, and commits before it answers."""

import ctypes
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from review_cases import opened, part_of, pictured, reading, write_results
from starlette.testclient import TestClient
from typer.testing import CliRunner

from serialread import cli, run_log
from serialread.errors import RecordsError
from serialread.review import ReviewPictures, ReviewQueue, web
from serialread.review.web import LEASE_S, MAX_BODY, is_loopback, review_app

Served = Callable[..., tuple[TestClient, ReviewQueue]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    queues: list[ReviewQueue] = []

    def serve(
        lines: list[dict[str, Any]], token: str = "", **shares: float
    ) -> tuple[TestClient, ReviewQueue]:
        queue = opened(write_results(tmp_path / "results", lines), **shares)
        queues.append(queue)
        (tmp_path / "pictures").mkdir(exist_ok=True)
        found = ReviewPictures(queue.path.parent, [tmp_path / "pictures"])
        app = review_app(queue, found, "results", hosts=["testserver"], token=token)
        return TestClient(app, raise_server_exceptions=False), queue

    yield serve
    for queue in queues:
        queue.store.close()


def tasks(client: TestClient, reviewer: str = "Ann", **more: str) -> list[dict[str, Any]]:
    answer = client.get("/tasks", params={"reviewer": reviewer, "session": reviewer, **more})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["tasks"]
    return found


NUMBER = iter(range(10**6))


def post(client: TestClient, part: str, text: str, reviewer: str = "Ann", **more: Any) -> Any:
    posted = {"request": f"request-{next(NUMBER)}", "session": reviewer, "reviewer": reviewer, "part": part}
    return client.post("/calls", json={"label": "read", "text": text, "source": "gain", **posted, **more})


def test_the_page_needs_nothing_but_itself(served: Served) -> None:
    client, _ = served([reading("b/<img src=x>/a.png")])
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == (
        "nosniff",
        "no-store",
    )
    assert "://" not in answer.text
    assert "b/&lt;img src=x&gt;" in answer.text
    for name in ("tokens.css", "review.css", "review.js"):
        assert client.get(f"/files/{name}").status_code == 200
    assert client.get("/files/..%2Fstore.py").status_code == 404


def test_a_task_shows_the_reading_its_characters_and_why_it_is_not_accepted(
    served: Served, tmp_path: Path
) -> None:
    client, _ = served(pictured(tmp_path / "pictures", ["a/1.png"], sequence_findings=["1 missing after B0"]))
    (task,) = tasks(client)
    assert (task["text"], task["role"], task["decision"]) == ("B0000", "first", "REVIEW")
    assert task["why"] == ["not calibrated", "1 missing after B0"]
    assert task["chars"][0]["runner_up"] == "8"
    left, top, width, height = task["chars"][0]["box"]
    assert 0 < left < left + width < 1
    assert 0 < top < top + height < 1
    for kind, media_type in (("crop", "image/webp"), ("picture", "image/jpeg")):
        answer = client.get(f"/pictures/{task['part']}/{kind}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)


def test_a_task_says_what_views_that_disagree_read(served: Served, tmp_path: Path) -> None:
    views = ["B0000", "80000", "B0000", ""]
    client, _ = served(pictured(tmp_path / "pictures", ["a/1.png"], view_texts=views))
    (task,) = tasks(client)
    assert task["why"] == ["not calibrated", "2 of 4 views read this; others: nothing, 80000"]


def test_a_call_is_stored_before_it_is_answered_and_answered_with_the_next(served: Served) -> None:
    client, queue = served([reading(f"{i}.png") for i in range(3)], second_share=0)
    first, second = tasks(client)
    answer = post(client, first["part"], "A 18")
    assert queue.store.calls(first["part"])["first"].text == "A18"
    assert answer.json()["tasks"][0]["part"] == second["part"]
    assert answer.json()["progress"]["reviewed"] == 1


def test_a_second_review_is_blind(served: Served) -> None:
    client, _ = served([reading("a.png", "SECRET")], second_share=1.0)
    (task,) = tasks(client, "Ann")
    post(client, task["part"], "SECRET9")
    answer = client.get("/tasks", params={"reviewer": "Ben", "session": "2"})
    assert answer.json()["tasks"][0]["role"] == "second"
    assert "SECRET" not in answer.text
    assert "Ann" not in answer.text
    assert "SECRET" not in client.get(f"/tasks/{task['part']}", params={"reviewer": "Ben"}).text
    post(client, task["part"], "SECRET", "Ben")
    assert tasks(client, "Ann") == []
    (dispute,) = tasks(client, "Cem")
    assert (dispute["role"], {call["text"] for call in dispute["calls"]}) == ("final", {"SECRET", "SECRET9"})
    assert post(client, task["part"], "SECRET", "Cem").json()["role"] == "final"


def test_two_reviewers_at_once_see_different_readings_and_lose_nothing(served: Served) -> None:
    client, queue = served([reading(f"{i}.png") for i in range(40)], second_share=0)
    seen: dict[str, list[str]] = {"Ann": [], "Ben": []}

    def work(reviewer: str) -> None:
        while found := tasks(client, reviewer):
            seen[reviewer].append(found[0]["part"])
            assert post(client, found[0]["part"], "A17", reviewer, source="random").status_code == 200

    threads = [threading.Thread(target=work, args=(name,)) for name in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen["Ann"]) + len(seen["Ben"]) == len({*seen["Ann"], *seen["Ben"]}) == 40
    assert queue.progress().reviewed == 40
    assert run_log.verify(queue.store.log).lines == 40


def test_a_reading_stays_with_the_page_that_shows_it_and_is_free_once_that_is_closed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(web, "time", SimpleNamespace(monotonic=lambda: now[0]))
    client, _ = served([reading("a.png")], second_share=0)
    (task,) = tasks(client, "Ann")
    for _ in range(5):
        now[0] += LEASE_S - 1
        assert client.post("/lease", json={"session": "Ann"}).json() == {"readings": 1}
        assert tasks(client, "Ben") == []
    now[0] += LEASE_S + 1
    assert [found["part"] for found in tasks(client, "Ben")] == [task["part"]]
    assert client.post("/lease", json={"session": "Ann"}).json() == {"readings": 0}


def test_skipped_readings_come_back_only_when_asked_for(served: Served) -> None:
    client, _ = served([reading(f"{i}.png") for i in range(3)])
    first = tasks(client)[0]["part"]
    assert first not in {task["part"] for task in tasks(client, skip=first)}
    assert tasks(client)[0]["part"] == first


def test_undo_shows_the_reading_again(served: Served) -> None:
    client, queue = served([reading(f"{i}.png") for i in range(3)], second_share=0)
    part = tasks(client)[0]["part"]
    post(client, part, "A18")
    posted = {"reviewer": "Ann", "session": "Ann", "request": "request-undo"}
    for _ in range(2):  # the answer was lost, and the request is repeated
        answer = client.post("/undo", json=posted).json()
        assert (answer["task"]["part"], answer["task"]["text"]) == (part, "A17")
    assert queue.store.calls(part) == {}
    assert client.post("/undo", json=posted | {"request": "request-more"}).json()["task"] is None


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"label": "maybe"}, 400, "label 'maybe': not known. Use read, unreadable, wrong crop, no code."),
        ({"text": ""}, 400, "text: empty. Type what the mark says, or say that it has no code."),
        ({"request": "1"}, 400, "request: not 8 to 64 characters."),
        ({"part": "0" * 20}, 404, "This reading is not in the results any more."),
    ],
)
def test_bad_posts_are_refused_with_a_reason(
    served: Served, changed: dict[str, str], status: int, error: str
) -> None:
    client, queue = served([reading("a.png")])
    answer = post(client, **{"part": part_of(reading("a.png")), "text": "A", **changed})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert list(queue.store.history()) == []


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'"\xff"', b"{}"])
def test_what_is_no_call_is_refused(served: Served, data: bytes) -> None:
    client, _ = served([reading("a.png")])
    json_type = {"content-type": "application/json"}
    assert client.post("/calls", content=data, headers=json_type).status_code == 400
    assert client.post("/calls", content=b" " * (MAX_BODY + 1), headers=json_type).status_code == 413


def test_other_sites_and_other_hosts_are_refused(served: Served) -> None:
    client, queue = served([reading("a.png")])
    posted = {"reviewer": "Ann", "request": "request-1"}
    assert client.post("/undo", json=posted, headers={"origin": "http://evil.test"}).status_code == 403
    assert client.post("/undo", data=posted).status_code == 415
    assert client.get("/", headers={"host": "evil.test"}).status_code == 421
    assert client.post("/undo", json=posted, headers={"origin": "http://testserver"}).status_code == 200
    assert list(queue.store.history()) == []


def test_away_from_the_loopback_every_request_needs_the_token(served: Served) -> None:
    client, _ = served([reading("a.png")], token="s3cret")
    for path in ("/", "/tasks", "/labels.csv", "/files/review.js", "/?token=wrong"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert "Open the address that serialread review printed" in answer.text
    assert client.get("/?token=s3cret").url.path == "/"
    assert client.get("/tasks").status_code == 200
    loopback = {
        "127.0.0.1": True,
        "::1": True,
        "localhost": True,
        "0.0.0.0": False,
        "10.0.0.7": False,
        "x": False,
    }
    assert {host: is_loopback(host) for host in loopback} == loopback


def test_a_picture_that_is_gone_or_changed_is_named(served: Served, tmp_path: Path) -> None:
    lines = pictured(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    client, _ = served(lines)
    (tmp_path / "pictures" / "a.png").unlink()
    (tmp_path / "pictures" / "b.png").write_bytes((tmp_path / "pictures" / "c.png").read_bytes())
    for line in lines[:2]:
        answer = client.get(f"/pictures/{part_of(line)}/crop")
        assert answer.status_code == 404
        error = f"{line['image']}: the picture is missing or has changed since it was read."
        assert answer.json() == {"error": error}
    assert client.get(f"/pictures/{part_of(lines[2])}/crop").status_code == 200


def test_no_name_leads_out_of_the_pictures(served: Served, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    client, _ = served([reading("../secret.txt"), reading("\udcff\n.png"), reading("a.png", "", quad=None)])
    for task in tasks(client) + tasks(client, skip=tasks(client)[0]["part"]):
        for kind in ("crop", "picture", "glyphs", "other"):
            answer = client.get(f"/pictures/{task['part']}/{kind}")
            assert answer.status_code == 404
            assert "secret\n" not in answer.text


def test_the_disk_is_full_is_answered_and_the_same_request_succeeds_later(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, queue = served([reading("a.png")])
    part = part_of(reading("a.png"))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(queue.store, "_commit", full)
        answer = post(client, part, "A17", request="request-full")
    assert answer.status_code == 503
    advice = "Free disk space, or name another folder with --out."
    folder = queue.store.folder
    assert answer.json()["error"] == f"{folder}: cannot be written: No space left on device. {advice}"
    assert post(client, part, "A17", request="request-full").status_code == 200
    assert queue.progress().reviewed == 1


@pytest.mark.parametrize(
    ("text", "ok", "words"),
    [
        ("490154203237518", True, "Format imei: fits, check character right."),
        ("490154203237510", False, "Check character 15 would be 8."),
        ("4901542032375", False, "Format imei: does not fit."),
        ("49015420323751А", False, "Character 15, А, is not printable ASCII."),
        ("", None, ""),
    ],
)
def test_the_format_is_checked_while_typing(tmp_path: Path, text: str, ok: bool | None, words: str) -> None:
    queue = opened(write_results(tmp_path, [reading("a.png")]))
    station = tmp_path / "station.toml"
    station.write_text('[code]\nformat = "imei"\n')
    client = TestClient(review_app(queue, ReviewPictures(tmp_path, [tmp_path], station), "results"))
    assert client.get("/check", params={"text": text}).json() == {"ok": ok, "words": words}
    queue.store.close()


def test_pictures_that_nobody_named_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RecordsError) as caught:
        ReviewPictures(write_results(tmp_path, [reading("a.png")]))
    reason = "its pictures are not known. There is no log of the run that read them."
    assert str(caught.value) == f"{tmp_path}: {reason} Give their folder with --pictures."


def test_the_command_imports_and_exports_without_a_page(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", [reading("a.png"), reading("b.png")])
    (tmp_path / "in.csv").write_text("filename,text\na.png,A18\n")
    command = ["review", str(results), "--out", str(tmp_path / "review"), "--export", str(tmp_path / "out")]
    done = CliRunner().invoke(cli.app, [*command, "--import", str(tmp_path / "in.csv"), "--operator", "Ann"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"{tmp_path}/in.csv: 1 label imported, 0 known before",
        f"{tmp_path}/out: labels.csv, calls.csv",
    ]
    assert (tmp_path / "out" / "labels.csv").read_text().splitlines()[1:] == ["a.png,A18,read,Ann,A17"]
    assert run_log.verify(tmp_path / "review" / "review.log").ok
    assert {path.name for path in results.iterdir()} == {"readings.jsonl"}


def without_the_right_to_write_anywhere() -> None:
    """Take from root what other users do not have: writing to what is read-only."""
    pr_capbset_drop, cap_dac_override = 24, 1
    ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)


def test_a_read_only_folder_is_reviewed_with_another_folder_for_the_review(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", [reading("a.png")])
    results.chmod(0o555)
    (tmp_path / "in.csv").write_text("filename,text\na.png,A18\n")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serialread", "review", str(results), *options]
        refused = without_the_right_to_write_anywhere
        return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=refused)

    done = run("--import", str(tmp_path / "in.csv"))
    advice = "Free disk space, or name another folder with --out."
    assert done.stderr == f"error: {results}: cannot be written: Permission denied. {advice}\n"
    done = run("--import", str(tmp_path / "in.csv"), "--out", str(tmp_path / "review"))
    assert done.stdout == f"{tmp_path}/in.csv: 1 label imported, 0 known before\n"
    results.chmod(0o755)
    assert [path.name for path in results.iterdir()] == ["readings.jsonl"]


def test_a_folder_that_read_did_not_write_stays_as_it_is(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["review", str(tmp_path / "typo"), "--out", str(tmp_path / "out")])
    assert str(done.exception) == (
        f"{tmp_path / 'typo'}: no readings.jsonl in it. Name the folder that serialread read --out writes."
    )
    assert list(tmp_path.iterdir()) == []


def test_an_address_in_use_is_one_clear_error(tmp_path: Path) -> None:
    import socket

    results = write_results(tmp_path, [reading("a.png")])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ["review", str(results), "--pictures", str(tmp_path), "--port", str(port)]
        done = CliRunner().invoke(cli.app, command)
    message = f"127.0.0.1:{port}: cannot listen there: Address already in use. Give another --port or --host."
    assert str(done.exception) == message


def test_importing_the_command_line_imports_no_web_server() -> None:
    script = (
        "import sys, serialread.cli, serialread.review; print({'starlette', 'uvicorn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_page_needs_no_tables_of_the_audit_in_memory() -> None:
    script = "import sys, serialread.review.web; print({'pandas', 'scipy', 'openvino'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
