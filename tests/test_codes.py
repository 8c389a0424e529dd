"""Formats are patterns with check characters; every code of a format, and nothing else, obeys it."""

import re
import string

import pytest
from hypothesis import given, settings, strategies as st
from stdnum import damm, ean, imei, iso6346, luhn
from stdnum.iso7064 import mod_11_2, mod_11_10, mod_37_2, mod_37_36, mod_97_10

from serialread.codes import CHECKS, FORMATS, MAX_LENGTH, PRINTABLE, Lattice, format_of
from serialread.errors import RecipeError

DIGITS, ALNUM = string.digits, string.digits + string.ascii_uppercase


def codes_of(lattice: Lattice) -> set[str]:
    """Every code of a small lattice."""
    found, open_ = set(), {("", 0)}
    for layer, ends in zip(lattice.layers, lattice.ends, strict=True):
        open_ = {(t + c, n) for t, at in open_ for chars, n in layer.get(at, ()) for c in chars}
        found |= {text for text, node in open_ if node in ends}
    return found


def accepts(check: str, text: str) -> bool:
    return set(text) <= set(CHECKS[check].chars) and CHECKS[check].holds(CHECKS[check].value(text))


# check characters


@pytest.mark.parametrize(
    ("check", "chars", "valid"),
    [
        ("luhn", DIGITS, luhn.is_valid),
        ("damm", DIGITS, damm.is_valid),
        ("mod11-2", DIGITS, mod_11_2.is_valid),
        ("mod11-10", DIGITS, mod_11_10.is_valid),
        ("mod37-2", ALNUM, mod_37_2.is_valid),
        ("mod37-36", ALNUM, mod_37_36.is_valid),
        ("mod97-10", ALNUM, mod_97_10.is_valid),
    ],
)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_checks_agree_with_python_stdnum(check: str, chars: str, valid: object, data: st.DataObject) -> None:
    text = data.draw(st.text(chars, min_size=2, max_size=20))
    assert accepts(check, text) == valid(text)  # type: ignore[operator]
    right = [c for c in ALNUM if c in CHECKS[check].chars and accepts(check, text + c)]
    assert all(valid(text + c) for c in right)  # type: ignore[operator]


@settings(deadline=None)
@given(payload=st.text(DIGITS, min_size=7, max_size=17))
def test_gs1_check_digits_agree_with_python_stdnum(payload: str) -> None:
    right = [d for d in DIGITS if accepts("gs1", payload + d)]
    assert right == [ean.calc_check_digit(payload)]


@settings(deadline=None)
@given(
    owner=st.text(string.ascii_uppercase, min_size=3, max_size=3),
    serial=st.text(DIGITS, min_size=7, max_size=7),
)
def test_container_codes_agree_with_python_stdnum(owner: str, serial: str) -> None:
    text = f"{owner}U{serial}"
    assert format_of("iso6346").matches(text) == iso6346.is_valid(text)


@pytest.mark.parametrize(
    "vin", ["1M8GDM9AXKP042788", "11111111111111111", "5GZCZ43D13S812715", "1HGCM82633A004352"]
)
def test_only_the_check_character_of_a_vin_is_right(vin: str) -> None:
    wanted = format_of("vin-checked")
    assert wanted.matches(vin)
    others = [c for c in DIGITS + "X" if c != vin[8]]
    assert not any(wanted.matches(vin[:8] + c + vin[9:]) for c in others)


@settings(max_examples=50, deadline=None)
@given(
    check=st.sampled_from(sorted(CHECKS.keys() - {"vin", "iso6346"})),
    begin=st.text(DIGITS, max_size=8),
    other=st.text(DIGITS, max_size=8),
    rest=st.text(DIGITS, max_size=6),
)
def test_beginnings_of_one_running_value_are_interchangeable(
    check: str, begin: str, other: str, rest: str
) -> None:
    scheme = CHECKS[check]
    if scheme.value(begin) == scheme.value(other):
        assert scheme.value(begin + rest) == scheme.value(other + rest)


# patterns


def patterns() -> st.SearchStrategy[str]:
    one = st.sampled_from(["A", "B", r"\d", "[AB]", "[^B-z]", "1", r"\-"])
    times = st.sampled_from(["", "?", "*", "+", "{2}", "{1,2}", "{0,2}"])

    def larger(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        grouped = st.builds("({}){}".format, part, times)
        kinds = [st.builds("{}{}".format, part, part), st.builds("({}|{})".format, part, part), grouped]
        return st.one_of(kinds)

    return st.recursive(st.builds("{}{}".format, one, times), larger, max_leaves=5)


@settings(max_examples=300, deadline=None)
@given(pattern=patterns(), text=st.text("AB1-", min_size=1, max_size=6))
def test_patterns_match_what_regular_expressions_match(pattern: str, text: str) -> None:
    try:
        wanted = format_of(f"({pattern})")
    except RecipeError as error:
        assert "no code of 1 to 40" in str(error)  # noqa: PT017
        return
    assert wanted.matches(text) == bool(re.fullmatch(pattern, text))


@settings(max_examples=60, deadline=None)
@given(pattern=patterns())
def test_a_lattice_contains_exactly_the_codes(pattern: str) -> None:
    try:
        lattice = format_of(f"({pattern})").codes("AB1-", 3)
    except RecipeError:
        return
    texts = [a + b + c for a in "AB1-" for b in ("", *"AB1-") for c in (("", *"AB1-") if b else ("",))]
    assert codes_of(lattice) == {t for t in texts if re.fullmatch(pattern, t)}


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        (r"SN(?luhn:\d{4})-[A-C]", "SN1230-A", "SN1231-A"),
        (r"(?luhn:\d{2}-?\d{2})", "12-30", "12-31"),
        (r"(?gs1:\d{8})(?luhn:\d{4})", "400638121230", "400638131230"),
        (r"(\d{3}|(?damm:\d{5}))", "123", "12345"),
        (r"(?mod11-2:\d{3}[\dX])", "079X", "0790"),
        (r"(?mod97-10:[A-Z]{2}\d{4})X?", "AB1281", "AB1282"),
        ("6G9N - 6028 - [AB]{2}", "6G9N-6028-AB", "6G9N6028AB"),
        (r"\(\d\)\[\.\]", "(1)[.]", "(1)[,]"),
    ],
)
def test_checks_apply_to_their_part_of_the_pattern(pattern: str, right: str, wrong: str) -> None:
    wanted = format_of(pattern)
    assert (wanted.matches(right), wanted.matches(wrong)) == (True, False)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("vni", "format 'vni': no such format. Choose from digits, letters-digits, vin, "),
        ("[A-Z", "format '[A-Z', position 1: this [ has no ]. Add it, or write \\[."),
        ("(A|B", "format '(A|B', position 1: this ( has no ). Add it, or write \\(."),
        ("A)", "format 'A)', position 2: a ) without a (. Remove it, or write \\)."),
        (
            "+A",
            "format '+A', position 1: + has nothing to repeat or open. For the character, write \\+.",
        ),
        (
            "A{3,2}",
            "format 'A{3,2}', position 2: {3,2} is no valid count. Give {least,most} within 0 to 40.",
        ),
        (r"A\w", r"format 'A\w', position 2: \w is unknown. There are \d, and \ before a symbol."),
        (
            "A{5",
            "format 'A{5', position 2: { begins no count, such as {3}. For the character, write \\{.",
        ),
        ("[Z-A]", "format '[Z-A]', position 2: Z-A is reversed. Write the lower one first."),
        ("[^!-~]", "format '[^!-~]', position 1: an empty set. Add its characters."),
        ("Ä+", "format 'Ä+', position 1: 'Ä' is not a printable ASCII character. Remove it."),
        (r"(?crc:\d)", r"format '(?crc:\d)', position 1: no check crc. Choose from damm, gs1, "),
        (r"(?luhn:(?damm:\d))", "check damm within check luhn. Write one after the other."),
        (r"\d{40}A", r"format '\d{40}A': no code of 1 to 40 characters matches it. Correct it."),
        ("(((A{1,25}){1,25}){1,25}){1,25}", "too large: nested repetitions multiply."),
    ],
)
def test_an_invalid_pattern_is_refused_with_the_position(pattern: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        format_of(pattern)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# predefined formats


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("digits", "013689", "01368O"),
        ("letters-digits", "6G9N", "6g9n"),
        ("vin", "WVWZZZ1KZ5B138638", "WVWZZZ1KZ5B13863O"),
        ("vin-checked", "1M8GDM9AXKP042788", "1M8GDM9A1KP042788"),
        ("iso6346", "CSQU3054383", "CSQU3054384"),
        ("iso6346", "CSQU305438-3", "CSQX3054383"),
        ("iso6346-type", "CSQU305438345G1", "CSQU3054383"),
        ("imei", "490154203237518", "490154203237519"),
        ("gs1-128", "(01)09501101530003", "(01)09501101530004"),
        ("gs1-128", "(10)AB-12(17)261131", "(10)AB-12(17)261331"),
        ("gs1-128", "(00)006141411234567890", "(00)006141411234567891"),
        ("gtin", "4006381333931", "4006381333932"),
        ("sscc", "006141411234567890", "006141411234567891"),
        ("nsn", "5905-01-234-5678", "5905-01-234-567"),
        ("part-bosch", "0280158117", "028015811"),
        ("part-ford", "6G9N-6028-AB", "6G9N-6028-A8"),
        ("part-mercedes", "A2721410202", "Z2721410202"),
        ("part-toyota", "90919-02240", "9O919-02240"),
        ("part-vag", "06A905115D", "06A9051151"),
    ],
)
def test_predefined_formats_match_their_codes(name: str, right: str, wrong: str) -> None:
    assert (format_of(name).matches(right), format_of(name).matches(wrong)) == (True, False)


@pytest.mark.parametrize("name", FORMATS)
def test_every_predefined_format_fits_the_maximum_length(name: str) -> None:
    lattice = format_of(name).codes(PRINTABLE, MAX_LENGTH)
    assert 1 <= len(lattice.layers) <= MAX_LENGTH


@settings(deadline=None)
@given(body=st.text(DIGITS, min_size=14, max_size=14))
def test_equipment_numbers_agree_with_python_stdnum(body: str) -> None:
    for digit in DIGITS:
        assert format_of("imei").matches(body + digit) == imei.is_valid(body + digit)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("imei", "490154203237510", (15, "8")),
        ("vin-checked", "1M8GDM9A0KP042788", (9, "X")),
        ("iso6346-type", "CSQU305438022G1", (11, "3")),
        ("imei", "49015420323751", None),
        ("digits", "12A", None),
    ],
)
def test_a_wrong_check_character_is_named_with_the_right_one(
    name: str, text: str, expected: tuple[int, str] | None
) -> None:
    assert format_of(name).expected_check(text) == expected
