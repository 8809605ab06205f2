"""Text from the enemy's machine: what stays, what becomes a visible escape, and columns of text."""

import numpy as np
import pytest

from atop_timeline.texts import UNKNOWN, Texts, decode


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"sshd: root@pts/0", "sshd: root@pts/0", id="ASCII"),
        pytest.param("gr\u00fc\u00dfe \u6f22 \U0001f600".encode(), "gr\u00fc\u00dfe \u6f22 \U0001f600", id="UTF-8"),
        pytest.param(b"a\xff\xfeb", r"a\xff\xfeb", id="no UTF-8"),
        pytest.param(b"caf\xe9", r"caf\xe9", id="Latin-1"),
        pytest.param(b"a\xe2\x82", r"a\xe2\x82", id="cut sequence"),
        pytest.param(b"\xc0\xaf", r"\xc0\xaf", id="overlong slash"),
        pytest.param(b"\xed\xa0\x80", r"\xed\xa0\x80", id="surrogate"),
        pytest.param(b"a\nb\tc\rd\x1b[31m\x7f", r"a\x0ab\x09c\x0dd\x1b[31m\x7f", id="control characters"),
        pytest.param(b"ls\0stale memory", "ls", id="ends at the first NUL"),
        pytest.param(b"\0sh", "", id="begins with NUL"),
        pytest.param("a\u0085b\u009bc".encode(), r"a\u0085b\u009bc", id="C1 control characters"),
        pytest.param("a\u2028b\u2029c".encode(), r"a\u2028b\u2029c", id="line and paragraph separators"),
        pytest.param("\u202etxt.exe\u2066\u200f".encode(), r"\u202etxt.exe\u2066\u200f", id="direction of writing"),
        pytest.param("s\u200bh\u2060\ufeff\u00ad".encode(), r"s\u200bh\u2060\ufeff\u00ad", id="invisible"),
        pytest.param(rb"a\xffb\n", r"a\xffb\n", id="a backslash of its own"),
        pytest.param(b'=1+1,"x"', '=1+1,"x"', id="what only a format must guard"),
    ],
)
def test_decode(raw: bytes, text: str) -> None:
    assert decode(raw) == text


def test_no_character_of_decoded_text_breaks_a_line() -> None:
    everything = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x110000)])).encode()
    assert len(decode(everything).splitlines()) == 1


def test_each_text_is_kept_once() -> None:
    texts = Texts()
    numbers = texts.decoded(np.array([b"cron", b"cron", b"sh\0x", b"", b"cron", b"sh"]))
    assert (numbers.tolist(), texts.values) == ([0, 0, 1, UNKNOWN, 0, 1], ["cron", "sh"])


def test_different_bytes_of_the_same_text_are_one() -> None:
    texts = Texts()
    numbers = texts.decoded(np.array([rb"\xff", b"\xff"]))
    assert (numbers.tolist(), texts.values) == ([0, 0], [r"\xff"])


def test_no_texts_at_all() -> None:
    texts = Texts()
    assert (texts.decoded(np.array([], "S15")).tolist(), texts.values) == ([], [])


def test_numbers_go_on_where_they_were() -> None:
    texts = Texts()
    columns = [texts.decoded(np.array(raw)).tolist() for raw in ([b"init", b"cron"], [b"cron", b"bash"])]
    assert (columns, texts.values) == ([[0, 1], [1, 2]], ["init", "cron", "bash"])


def test_derived_texts() -> None:
    texts = Texts()
    column = texts.decoded(np.array([b"/bin/sh -c x", b"", b"kworker", b"/bin/sh"]))
    derived = texts.derived(column, lambda text: text.partition(" ")[0] if text.startswith("/") else "")
    assert [texts.values[n] if n != UNKNOWN else None for n in derived] == ["/bin/sh", None, None, "/bin/sh"]


def test_names_that_are_looked_up() -> None:
    texts = Texts()
    column = texts.looked_up(np.array([1000, 0, 1000, 4_294_967_295]), {0: "root", 1000: "alice"})
    assert [texts.values[n] if n != UNKNOWN else None for n in column] == ["alice", "root", "alice", None]
