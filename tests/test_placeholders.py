"""Whatever the secrets are, no spelling of them survives, and texts that have none stay as they are."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from lavalink_sync.devnode.placeholders import PLACEHOLDER, Placeholders
from lavalink_sync.devnode.replay_match import restored

# What headers and paths can carry, and a little more.
_CHARS = st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=["Cc", "Cs", "Z"]) | st.sampled_from(
    '+/%=\\" '
)
SECRETS = (
    st.text(_CHARS, min_size=8, max_size=30)
    .map(str.strip)
    .filter(
        lambda text: (
            len(text) >= 8 and not any(text in name for name in ("<voice-session-1>", "<password>", "<session-1>"))
        )
    )
)
AROUND = st.text("abc /?&=.,:-", max_size=6)


def spellings(secret: str) -> list[str]:
    """The ways in which programs write a secret."""
    raw = secret.encode()
    coded = [form(raw).decode() for form in (base64.b64encode, base64.urlsafe_b64encode)]
    texts = [secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]]
    return [*texts, *(text.lower() for text in texts[1:3] if secret.islower()), *coded]


@settings(max_examples=100, deadline=None)
@given(st.lists(SECRETS, min_size=1, max_size=3, unique=True), st.data())
def test_no_spelling_of_a_secret_survives(values: list[str], data: st.DataObject) -> None:
    secrets = Placeholders()
    for label, value in zip(("password", "session", "voice-session"), values, strict=False):
        secrets.learn(label, value)
    pieces = st.sampled_from([spelling for value in values for spelling in spellings(value)])
    texts = data.draw(st.lists(st.tuples(AROUND, pieces, AROUND).map("".join), min_size=1, max_size=5))
    line: dict[str, Any] = {"path": texts[0], "body": [{text: text} for text in texts]}
    hidden = json.dumps(secrets.hide(line), ensure_ascii=False)
    left = [spelling for value in values for spelling in spellings(value) if spelling in hidden]
    assert not left


@settings(max_examples=100, deadline=None)
@given(st.lists(SECRETS, min_size=1, max_size=3, unique=True), st.lists(st.text(max_size=20), max_size=5))
def test_what_was_replaced_can_be_put_back(values: list[str], texts: list[str]) -> None:
    secrets = Placeholders()
    bound = {}
    for number, value in enumerate(values, 1):
        secrets.learn("session", value, f"<session-{number}>")
        bound[f"<session-{number}>"] = value
    line = {
        "texts": [text for text in texts if not PLACEHOLDER.search(text)],
        "secrets": [f"a {value} b" for value in values],
    }
    hidden = secrets.hide(line)
    assert restored(hidden, bound, lambda name: "?") == line
    assert hidden["texts"] == line["texts"] or any(value in text for value in values for text in texts)
