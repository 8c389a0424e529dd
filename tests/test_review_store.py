"""Calls of reviewers: stored before they are confirmed, never lost, never replaced by another person's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serialread import run_log
from serialread.errors import RecordsError
from serialread.review.store import DATABASE, LOG, Call, CallLabel, ReviewStore, settled


def call(text: str = "A17", reviewer: str = "Ann", label: str = "read") -> Call:
    return Call.of(label, text, reviewer)


@pytest.fixture
def store(tmp_path: Path) -> ReviewStore:
    return ReviewStore(tmp_path)


def test_a_call_says_who_when_before_and_after(store: ReviewStore) -> None:
    store.save("p", "a.png", call("A17"), "request-1")
    store.save("p", "a.png", call("A18"), "request-2")
    first, second = store.history()
    assert (first["operator"], first["before"], first["image"]) == ("Ann", None, "a.png")
    assert second["before"] == {"label": "read", "text": "A17", "reviewer": "Ann", "source": "gain"}
    assert second["after"] == {"label": "read", "text": "A18", "reviewer": "Ann", "source": "gain"}
    assert str(second["at"]) > "2020"
    found = run_log.verify(store.log)
    assert (found.ok, found.lines, found.head) == (True, 2, store.head)


def test_a_repeated_request_changes_nothing(store: ReviewStore) -> None:
    for _ in range(3):
        store.save("p", "a.png", call("A17"), "request-1")
    assert len(list(store.history())) == 1


def test_the_call_of_another_person_is_the_second(store: ReviewStore) -> None:
    assert store.save("p", "a.png", call("A17", "Ann")) == "first"
    assert store.save("p", "a.png", call("A18", "Ben")) == "second"
    assert settled(store.calls("p")) is None


def test_a_third_person_settles_what_two_disagree_about_and_they_only_change_their_own_calls(
    store: ReviewStore,
) -> None:
    store.save("p", "a.png", call("A17", "Ann"))
    store.save("p", "a.png", call("A18", "Ben"))
    assert store.save("p", "a.png", call("A19", "Ann")) == "first"
    assert settled(store.calls("p")) is None
    assert store.save("p", "a.png", call("A18", "Cem")) == "final"
    assert store.save("p", "a.png", call("A20", "Ben")) == "second"
    assert settled(store.calls("p")) == call("A18", "Cem")


def test_undo_restores_what_was_before_and_can_be_repeated(store: ReviewStore) -> None:
    store.save("p", "a.png", call("A17"))
    store.save("q", "b.png", call("B1"))
    store.save("q", "b.png", call("B2"))
    assert [store.undo("Ann") for _ in range(4)] == ["q", "q", "p", ""]
    assert store.calls("p") == store.calls("q") == {}
    assert run_log.verify(store.log).lines == 6


def test_undo_takes_back_only_own_calls(store: ReviewStore) -> None:
    store.save("p", "a.png", call("A17", "Ann"))
    store.save("q", "b.png", call("B1", "Ben"))
    assert store.undo("Ann") == "p"
    assert store.undo("Cem") == ""
    assert store.calls("q") == {"first": call("B1", "Ben")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("maybe", "A", "Ann"), "label 'maybe': not known. Use read, unreadable, wrong crop, no code."),
        (("read", " ", "Ann"), "text: empty. Type what the mark says, or say that it has no code."),
        (("read", "A\x07", "Ann"), "text: not 1 to 200 printable characters. Correct it."),
        (("read", "A" * 201, "Ann"), "text: not 1 to 200 printable characters. Correct it."),
        (("read", "A", " "), "reviewer: not 1 to 80 printable characters. Type your name."),
    ],
)
def test_invalid_calls_are_refused(words: tuple[str, str, str], message: str) -> None:
    with pytest.raises(RecordsError) as caught:
        Call.of(*words)
    assert str(caught.value) == message


def test_only_labels_with_a_text_keep_it() -> None:
    texts = {label: Call.of(label, "A 1", "Ann").text for label in CallLabel}
    assert texts == {"read": "A1", "wrong crop": "A1", "unreadable": "", "no code": ""}


def test_a_folder_is_reviewed_by_one_process(store: ReviewStore) -> None:
    with pytest.raises(RecordsError) as caught:
        ReviewStore(store.folder)
    assert str(caught.value) == f"{store.folder}: another review is open there. Use its page, or close it."
    store.close()
    ReviewStore(store.folder).close()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    advice = "Free disk space, or name another folder with --out."
    with pytest.raises(RecordsError) as caught:
        ReviewStore(tmp_path / "file" / "review")
    assert str(caught.value) == f"{tmp_path}/file/review: cannot be written: Not a directory. {advice}"
    (tmp_path / DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(RecordsError) as caught:
        ReviewStore(tmp_path)
    assert str(caught.value) == f"{tmp_path}/{DATABASE}: cannot be used: file is not a database. {advice}"


@pytest.mark.parametrize("left", [0, 1, 1.5])
def test_a_log_that_a_kill_left_incomplete_is_completed(store: ReviewStore, left: float) -> None:
    for number in range(3):
        store.save("p", "a.png", call(f"A{number}"))
    store.close()
    lines = store.log.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[: int(left)]) + (lines[1][:20] if left % 1 else b"")
    store.log.write_bytes(kept)
    ReviewStore(store.folder).close()
    assert store.log.read_bytes().splitlines(keepends=True) == lines


def test_the_log_of_another_review_is_refused(store: ReviewStore, tmp_path: Path) -> None:
    store.save("p", "a.png", call())
    store.close()
    other = ReviewStore(tmp_path / "other")
    other.save("q", "b.png", call())
    store.log.write_bytes(other.log.read_bytes())
    with pytest.raises(RecordsError) as caught:
        ReviewStore(store.folder)
    what = "is not the log of review.sqlite beside it. Restore both, or move both away."
    assert str(caught.value) == f"{store.log}: {what}"


def test_events_cannot_be_changed_or_removed(store: ReviewStore) -> None:
    store.save("p", "a.png", call())
    for statement in ("UPDATE events SET entry = ''", "DELETE FROM events"):
        with (
            pytest.raises(RecordsError, match="events are append-only"),
            store.locked() as database,
        ):
            database.execute(statement)


WRITER = """
import sys
from pathlib import Path
from serialread.review.store import Call, ReviewStore
store = ReviewStore(Path(sys.argv[1]))
for number in range(100_000):
    store.save(f"p{number}", "a.png", Call.of("read", f"A{number}", "Ann"), f"request-{number}")
    print(number, flush=True)
"""


def test_a_killed_process_loses_no_call_that_it_confirmed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        for _ in range(20):
            confirmed = int(writer.stdout.readline())
        writer.kill()
        confirmed = max([confirmed, *map(int, writer.stdout.read().split())])
    store = ReviewStore(tmp_path)
    texts = [dict(event["after"])["text"] for event in store.history()]  # type: ignore[call-overload]
    assert texts[: confirmed + 1] == [f"A{number}" for number in range(confirmed + 1)]
    assert run_log.verify(tmp_path / LOG).lines == len(texts)


class Reviewing(RuleBasedStateMachine):
    """Any calls, repeated requests and undos of three people, with reopening."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.store = ReviewStore(self.folder)
        self.events = 0
        self.requests = 0

    @rule(
        part=st.sampled_from("pq"),
        who=st.sampled_from(("Ann", "Ben", "Cem")),
        text=st.sampled_from(("A", "B")),
        label=st.sampled_from(tuple(CallLabel)),
    )
    def decide(self, part: str, who: str, text: str, label: CallLabel) -> None:
        before, made = self.store.calls(part), Call.of(label, text, who)
        self.requests += 1
        for _ in range(2):  # the answer was lost, and the request is repeated
            role = self.store.save(part, f"{part}.png", made, f"request-{self.requests}")
        self.events += 1
        after = self.store.calls(part)
        assert after == {**before, role: made}
        assert role == "final" or before.get(role, made).reviewer == who

    @rule(who=st.sampled_from(("Ann", "Ben", "Cem")))
    def undo(self, who: str) -> None:
        before = {part: self.store.calls(part) for part in "pq"}
        part = self.store.undo(who)
        self.events += bool(part)
        for each in "pq":
            after = self.store.calls(each)
            changed = {role for role in {*before[each], *after} if before[each].get(role) != after.get(role)}
            assert len(changed) == 0 if each != part else len(changed) <= 1
            assert all(before[each][role].reviewer == who for role in changed)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = ReviewStore(self.folder)

    @invariant()
    def every_event_is_in_the_log(self) -> None:
        log = self.folder / LOG
        if self.events:
            found = run_log.verify(log)
            assert (found.ok, found.lines, found.head) == (True, self.events, self.store.head)

    def teardown(self) -> None:
        self.store.close()


Reviewing.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestReviewing = Reviewing.TestCase


@given(name=st.text(max_size=20), text=st.text(max_size=20))
@settings(deadline=None, max_examples=50)
def test_any_name_and_text_is_stored_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    try:
        made = Call.of("read", text, name)
    except RecordsError:
        return
    store = ReviewStore(tmp_path_factory.mktemp("any"))
    store.save("p", "\udcff/\x00'\".png", made)
    assert store.calls("p") == {"first": made}
    assert json.loads(store.log.read_bytes())["image"] == "\udcff/\x00'\".png"
    store.close()
