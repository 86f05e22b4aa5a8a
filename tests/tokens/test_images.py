"""The size of an image from its first bytes, and what each vendor makes of it."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from textwrap import fill

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetledger.tokens import image_tokens
from budgetledger.tokens.image_size import image_size
from budgetledger.tokens.model_families import family_of

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x03\x00\x08\x02\x00\x00\x00"
GIF = b"GIF89a\x2c\x01\xc8\x00\xf7\x00\x00"
LOSSY = b"RIFF\x00\x10\x00\x00WEBPVP8 \x00\x10\x00\x00\x30\x01\x00\x9d\x01\x2a\x2c\x01\xc8\x00\x00"
LOSSLESS = b"RIFF\x00\x10\x00\x00WEBPVP8L\x00\x10\x00\x00\x2f\x2b\xc1\x31\x00" + bytes(8)
EXTENDED = b"RIFF\x00\x10\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(4) + b"\x2b\x01\x00\xc7\x00\x00"
FRAME = b"\xff\xc2\x00\x11\x08\x00\xc8\x01\x2c\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
# Before the size: a preview that is a JPEG itself, a colour profile in parts, tables, fill bytes.
PREVIEW = b"\xff\xe1\x40\x02" + b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x01\x00\x01".ljust(0x4000, b"\0")
PROFILE = (b"\xff\xe2\xff\xff" + bytes(0xFFFD)) * 9
JPEG = b"\xff\xd8" + PREVIEW + PROFILE + b"\xff\xc4\x00\x04\x00\x00\xff\xff" + FRAME


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        (PNG, (1024, 768)),
        (GIF, (300, 200)),
        (LOSSY, (300, 200)),
        (LOSSLESS, (300, 200)),
        (EXTENDED, (300, 200)),
        (JPEG, (300, 200)),
    ],
)
def test_the_size_is_in_the_header(raw: bytes, size: tuple[int, int]) -> None:
    text = b64encode(raw).decode()
    for data in (
        raw,
        text,
        "data:image/png;base64," + text,
        "DATA:application/x;name=a.b;base64," + text,  # whatever it says it is
        "data:;base64," + fill(text, 76),
        "data:;base64," + urlsafe_b64encode(raw).decode().rstrip("="),
    ):
        assert image_size(data) == size


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"\0",
        "",
        "data:",
        "data:image/png;base64,",
        "data:image/png;base64,AA",
        "https://example.com/cat.png",
        "file-abc123",
        "nicht base64 ü",
        PNG[:20],
        PNG[:16] + bytes(8),  # 0 x 0
        GIF[:9],
        LOSSY[:29],
        b"RIFF\x00\x10\x00\x00WEBPVP8Z" + bytes(20),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x00" * 10_000,  # segments without a length
        b"\xff\xd8" + b"\xff" * 100_000,
        b"\xff\xd8" + b"\xff\xe1\x00\x02" * 1000 + FRAME,  # more segments than are looked at
        b"\xff\xd8" + (b"\xff\xe2\xff\xff" + bytes(0xFFFD)) * 20 + FRAME,  # or more bytes
    ],
)
def test_what_tells_no_size_has_none(data: str | bytes | None) -> None:
    assert image_size(data) is None


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", PNG[:8], b"GIF89a"]),
)
def test_any_bytes_are_read(raw: bytes, start: bytes) -> None:
    for data in (start + raw, b64encode(start + raw).decode()):
        size = image_size(data)
        assert size is None or min(size) > 0


def test_a_long_image_is_not_decoded_whole() -> None:
    class Watched(str):
        read = 0

        def __getitem__(self, at: object) -> str:
            found = super().__getitem__(at)  # type: ignore[index]
            Watched.read += len(found)
            return found

    image_size(Watched("data:image/png;base64," + b64encode(PNG + bytes(10**7)).decode()))
    assert Watched.read < 200
    image_size(
        Watched("data:image/jpeg;base64," + b64encode(b"\xff\xd8\xff" + bytes(10**7)).decode())
    )
    assert Watched.read < 1_500_000


# As on the vendors' pages: size, detail, and the tokens at most.
RULES = [
    # Claude's own table, https://platform.claude.com/docs/en/build-with-claude/vision
    ("claude-sonnet-4-6", (200, 200), "", 64),
    ("claude-sonnet-4-6", (1000, 1000), "", 1296),
    ("claude-sonnet-4-6", (1092, 1092), "", 1521),
    ("claude-sonnet-4-6", (1920, 1080), "", 1560),
    ("claude-sonnet-4-6", (2000, 1500), "", 1564),
    ("claude-sonnet-4-6", (3840, 2160), "", 1560),
    ("claude-sonnet-4-6", (1075, 1520), "", 1551),  # to 924 x 1307
    ("claude-opus-4-7", (1092, 1092), "", 1521),
    ("claude-opus-5", (1920, 1080), "", 2691),
    ("claude-opus-5", (2000, 1500), "", 3888),
    ("claude-opus-5", (3840, 2160), "", 4784),
    ("claude-opus-5", (100_000, 1), "", 92),
    # OpenAI's tiles
    ("o1", (1024, 1024), "high", 75 + 4 * 150),
    ("gpt-4.5-preview", (512, 512), "high", 85 + 170),
    ("gpt-4o", (513, 512), "high", 85 + 2 * 170),
    ("gpt-5", (1024, 1024), "high", 70 + 4 * 140),
    ("gpt-5-chat-latest", (1024, 1024), "low", 70),
    ("gpt-5.1", (1024, 1024), "auto", 70 + 4 * 140),
    ("computer-use-preview", (1024, 1024), "high", 65 + 4 * 129),
    ("gpt-4o", (100_000, 1), "high", 85 + 4 * 170),
    # OpenAI's patches: 1,024 and 1,452 of the worked examples, times 1.62, 2.46, 1.72, 1.2
    ("gpt-4.1-mini", (1024, 1024), "high", 1659),
    ("gpt-4.1-mini-2025-04-14", (1800, 2400), "high", 2353),
    ("gpt-4.1-nano", (1024, 1024), "high", 2520),
    ("o4-mini", (1024, 1024), "low", 1762),  # low makes no difference there
    ("gpt-5-mini", (1024, 1024), "high", 1659),
    ("gpt-5-nano", (1800, 2400), "high", 3572),
    ("gpt-5.2", (2048, 768), "high", 1844),
    ("gpt-5.4", (1600, 1600), "high", 3000),
    ("gpt-5.4", (640, 480), "low", 231),
    ("gpt-5.4", (3200, 3200), "original", 12_000),
    ("gpt-5.4", (3200, 3200), "auto", 3000),
    ("gpt-5.5", (3200, 3200), "", 12_000),
    ("gpt-5.6-sol", (3200, 960), "original", 3600),
    ("gpt-6-sol", (3200, 960), "high", 2916),
    ("gpt-6-sol", (10**6, 10**6), "", 35_915),
    ("gpt-6-sol", (1, 10**9), "high", 2458),
    # Gemini
    ("gemini-2.5-pro", (384, 384), "", 258),
    ("gemini-2.5-pro", (960, 540), "", 6 * 258),
    ("gemini-2.0-flash", (10**6, 10**6), "", 16 * 258),
    ("gemini-3-pro-preview", (10**6, 10**6), "", 1120),
    ("gemini-3-pro-preview", (10, 10), "low", 280),
    ("gemini-4-argon", (10, 10), "media_resolution_ultra_high", 2240),
    # others
    ("pixtral-large", (1024, 1024), "", 4096),
    ("llama-4-scout", (10**6, 10**6), "", 16_384),
]


@pytest.mark.parametrize(("model", "size", "detail", "tokens"), RULES)
def test_rules(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    found = family_of(model).images.tokens(size, detail)
    assert found.high == tokens
    assert 0 < found.low <= found.high


# Measured by users of the API where less was billed than is documented: patches, tokens.
MEASURED = [
    ("gpt-5-mini", (256, 256), 77),
    ("gpt-5-mini", (512, 512), 308),
    ("gpt-5-mini", (768, 1024), 922),
    ("gpt-5-mini", (1280, 720), 1104),
    ("gpt-5-mini", (1024, 1024), 1229),
    ("gpt-5-mini", (2048, 768), 1844),
    ("gpt-5.4-mini", (1600, 1600), 3000),
    ("gpt-5-nano", (1024, 1024), 1536),
]


@pytest.mark.parametrize(("model", "size", "tokens"), MEASURED)
def test_what_was_measured_is_the_lower_bound(
    model: str, size: tuple[int, int], tokens: int
) -> None:
    found = family_of(model).images.tokens(size, "high")
    assert found.low == tokens < found.high


SIZES = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)) | st.tuples(
    st.integers(1, 2**32), st.integers(1, 2**32)
)
EVERY = [
    "gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "o4-mini", "gpt-5", "gpt-5-nano", "gpt-5.4",
    "gpt-5.4-mini", "gpt-5.5", "gpt-6", "claude-3-opus", "claude-opus-5", "gemini-2.5-pro",
    "gemini-3-pro", "pixtral", "nobody-knows",
]  # fmt: skip


@given(st.sampled_from(EVERY), SIZES, st.sampled_from(["", "low", "high", "original"]))
def test_an_image_of_unknown_size_is_taken_for_the_most_expensive(
    model: str, size: tuple[int, int], detail: str
) -> None:
    rule = family_of(model).images
    known, unknown = rule.tokens(size, detail), rule.tokens(None, detail)
    assert 0 < unknown.low <= known.low <= known.high <= unknown.high
    assert known == rule.tokens(size[::-1], detail)


def test_only_rules_that_were_checked_call_themselves_known() -> None:
    assert family_of("gpt-4o").images.tokens((9, 9), "high").known
    assert family_of("gpt-4o").images.tokens(None, "low").known
    assert not family_of("gpt-4o").images.tokens((9, 9), "auto").known  # the model decides
    assert not family_of("gpt-4o").images.tokens(None, "high").known
    assert not family_of("gpt-5-mini").images.tokens((9, 9), "high").known
    assert image_tokens.CLAUDE.tokens((9, 9), "").known
    assert not image_tokens.CLAUDE.tokens(None, "").known
