"""Answers are read whatever their case, their types or their wrapping."""

from datetime import UTC, datetime

import pytest

from actions_gateway.github.decoding import Fields, decode_base64, parse_object, parse_time_span, parse_timestamp
from actions_gateway.github.errors import EmptyAnswer, MalformedAnswer

BIG = 5714371765723164553


def test_names_match_without_case_and_the_exact_name_wins() -> None:
    fields = Fields({"AgentId": "1", "agentid": "2", "NAME": "n"})
    assert fields.text("AgentId") == "1"
    assert fields.text("agentid") == "2"
    assert fields.text("name") == "n"


def test_numbers_and_booleans_may_be_strings() -> None:
    fields = Fields({"a": "7", "b": 7, "c": "True", "d": False, "e": "1", "f": "x", "g": True, "h": None})
    assert [fields.number(name) for name in "abfgh"] == [7, 7, None, None, None]
    assert [fields.flag(name) for name in "cdefgh"] == [True, False, True, False, True, False]
    assert fields.flag("absent", default=True)


def test_a_message_id_above_two_to_the_53_keeps_every_digit() -> None:
    assert parse_object(f'{{"messageId": {BIG}}}').number("messageId") == BIG
    assert parse_object(f'{{"messageId": "{BIG}"}}').number("messageId") == BIG


def test_what_is_absent_or_of_another_type_reads_as_nothing() -> None:
    fields = Fields({"list": 1, "object": [1], "text": {"a": 1}})
    assert fields.items("list") == []
    assert fields.fields("object").text("x") == ""
    assert fields.text("text") == ""
    assert fields.text("absent") == ""
    assert fields.texts("object") == {}
    assert [found.text("a") for found in Fields({"mixed": [1, {"a": "b"}, None]}).objects("mixed")] == ["b"]


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_object(b"\xef\xbb\xbf" + b'{"a": 1}').number("a") == 1


@pytest.mark.parametrize("content", [b"", b" \r\n", b"null", b'{"a": 1', b'{"a": "cut in the mid', b'{"a":', b"[1, "])
def test_an_empty_or_cut_document_is_told_from_a_wrong_one(content: bytes) -> None:
    with pytest.raises(EmptyAnswer):
        parse_object(content)


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b"12", b'{"a" 1}', b"[" * 100_000, b"9" * 5000])
def test_a_wrong_document_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedAnswer) as caught:
        parse_object(content)
    assert not isinstance(caught.value, EmptyAnswer)


def test_a_parse_error_carries_nothing_of_the_document() -> None:
    with pytest.raises(MalformedAnswer) as caught:
        parse_object('{"token": planted}')
    assert "planted" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_token_that_no_header_can_carry_is_refused() -> None:
    assert Fields({"token": "abc"}).secret("token")
    assert Fields({}).secret("token") is None
    for bad in ("a b", "a\r\nX: y", "ä"):
        with pytest.raises(MalformedAnswer):
            Fields({"token": bad}).secret("token")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00.1234567Z", datetime(2026, 1, 5, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-05T12:00:00+02:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("", None),
        ("soon", None),
    ],
)
def test_time_stamps_of_dotnet_are_read(text: str, moment: datetime | None) -> None:
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:05:00", 300.0), ("1.02:03:04.5000000", 93784.5), ("0:01:00", 60.0), ("5 minutes", None), ("", None)],
)
def test_time_spans_of_dotnet_are_read(text: str, seconds: float | None) -> None:
    assert parse_time_span(text) == seconds


@pytest.mark.parametrize("text", ["+/8=", "-_8=", "-_8", " +/\n8= "])
def test_base64_may_be_url_safe_and_unpadded(text: str) -> None:
    assert decode_base64(text) == b"\xfb\xff"


@pytest.mark.parametrize("text", ["a", "ab!d", "äöü"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_base64(text)
