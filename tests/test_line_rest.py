"""The REST interface answers with results, and refuses what it must."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from line_cases import picture, served, settings

KEYS = {"viewer": ["read"], "camera": ["trigger"], "boss": ["read", "trigger", "admin"]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    with served(settings(tmp_path, web={"port": 0, "requests_per_s": 500})) as (client, _):
        yield client


def test_a_picture_is_read_as_form_and_as_raw_body(client: Any) -> None:
    form = client.post("/v1/read", files={"picture": ("a/../b.png", picture(5))}, data={"expected": "57"})
    assert form.status_code == 200, form.text
    result = form.json()
    assert (result["outcome"], result["text"], result["distance"], result["number"]) == ("PASS", "57", 0, 1)
    assert result["record"]["image"] == "b.png"
    raw = client.post("/v1/read", content=picture(9), params={"expected": "57"}).json()
    assert (raw["outcome"], raw["text"], raw["reasons"]) == (
        "FAIL",
        "97",
        ["expected 57, read 97: distance 1"],
    )


def test_a_repeated_id_is_the_same_trigger(client: Any) -> None:
    first = client.post("/v1/read", content=picture(5), params={"id": "part 1"}).json()
    again = client.post("/v1/read", content=picture(9), params={"id": "part 1"}).json()
    assert again == first
    assert client.get("/v1/readings/part 1").json() == first
    assert client.get("/v1/readings/part 2").status_code == 404


def test_several_pictures_of_a_part_are_fused(client: Any) -> None:
    def fused(*digits: int) -> tuple[str, str, list[str]]:
        files = [("picture", (f"{n}.png", picture(digit))) for n, digit in enumerate(digits)]
        result = client.post("/v1/read", files=[*files, ("picture", ("torn.png", b"torn"))]).json()
        return result["outcome"], result["text"], result["reasons"]

    assert fused(5, 5) == ("PASS", "57", [])
    assert fused(5, 9, 5) == ("REVIEW", "57", ["another frame reads 97"])


def test_readings_are_listed_page_by_page(client: Any) -> None:
    made = [client.post("/v1/read", content=picture(4 + n)).json() for n in range(5)]
    page = client.get("/v1/readings", params={"limit": 3}).json()
    rest = client.get("/v1/readings", params={"limit": 3, "before": page["next"]}).json()
    assert [*page["readings"], *rest["readings"]] == made[::-1]
    assert rest["next"] is None
    found = client.get("/v1/readings", params={"text": "57", "outcome": "PASS", "station": "press"}).json()
    assert found["readings"] == [made[1]]
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"since": "yesterday"}, {"colour": "red"}):
        assert client.get("/v1/readings", params=wrong).status_code == 422


def test_a_broken_picture_fails_with_its_reason(client: Any) -> None:
    result = client.post("/v1/read", content=b"not a picture").json()
    assert (result["outcome"], result["text"]) == ("FAIL", "")
    assert result["reasons"] == ["not a picture of a known format. Give a JPEG, PNG, TIFF, BMP or WebP."]
    assert client.get(f"/v1/pictures/{result['trigger']}/0").content == b"not a picture"


@pytest.mark.parametrize(
    ("params", "body", "status", "error"),
    [
        ({"station": "mill"}, True, 422, "station mill: not known. Use press."),
        ({}, False, 422, "station press: has no camera. Send a picture with the trigger."),
        ({"format": "no-such-format-("}, True, 422, None),
        ({"expected": "A B"}, True, 422, None),
        ({"id": "x" * 129}, True, 422, None),
        ({"wait": "-1"}, True, 422, None),
        ({"path": "/etc/passwd"}, True, 422, None),
    ],
)
def test_a_wrong_trigger_is_refused(
    client: Any, params: dict[str, str], body: bool, status: int, error: str | None
) -> None:
    answer = client.post("/v1/read", params=params, content=picture() if body else b"")
    assert answer.status_code == status, answer.text
    assert error in (None, answer.json()["error"])
    assert client.get("/v1/readings").json()["readings"] == []


def test_keys_have_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(f"KEY_{name}", f"{name}-0123456789abcdef")
    keys = [{"name": name, "key": f"env:KEY_{name}", "roles": roles} for name, roles in KEYS.items()]
    with served(settings(tmp_path, web={"port": 0, "keys": keys})) as (client, _):
        requests = {
            "read": ("GET", "/v1/readings", b""),
            "trigger": ("POST", "/v1/read", picture()),
            "admin": ("POST", "/v1/reload", b""),
        }
        for name, roles in KEYS.items():
            for role, (method, path, body) in requests.items():
                headers = {"authorization": f"Bearer {name}-0123456789abcdef"}
                answer = client.request(method, path, content=body, headers=headers)
                assert answer.status_code == (200 if role in roles else 403), answer.text
        assert client.get("/", auth=("anyone", "viewer-0123456789abcdef")).status_code == 200
        assert client.get("/healthz").status_code == 200
        for wrong in ("", "Bearer viewer", "Bearer viewer-0123456789abcdeF", "Basic !", "Basic dmlld2Vy"):
            answer = client.get("/v1/readings", headers={"authorization": wrong})
            assert (answer.status_code, answer.json()["error"]) == (
                401,
                "send an API key: Authorization: Bearer KEY.",
            )


def test_the_pages_need_nothing_from_elsewhere(client: Any) -> None:
    client.post("/v1/read", content=picture(5))
    for path in ("/", "/docs", "/files/live.js", "/files/live.css", "/files/tokens.css"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "://" not in answer.text.replace("http://127.0.0.1:8401", "")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    live = client.get("/live").json()
    assert live["last"]["press"]["text"] == live["readings"][0]["text"] == "57"
    assert live["stations"][0]["shift"]["PASS"] == 1
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            known = client.request(method, path.replace("{trigger}", "x").replace("{number}", "0"))
            assert known.status_code not in (405, 500)


def test_metrics_count_what_happened(client: Any) -> None:
    for digit in (5, 5, 9):
        client.post("/v1/read", content=picture(digit), params={"expected": "57"})
    lines = client.get("/metrics").text.splitlines()
    assert 'serialread_results_total{outcome="PASS",station="press"} 2.0' in lines
    assert 'serialread_results_total{outcome="FAIL",station="press"} 1.0' in lines
    assert 'serialread_queue{station="press"} 0.0' in lines
    assert any(line.startswith('serialread_mark_grade_recent{station="press"}') for line in lines)
