"""A secret works as text on the wire and is a mask wherever it would be shown."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import orjson
import pytest

from lavalink_sync.secret import MASK, Secret, SecretBytes, scrub

PASSWORD = "hunter2-hunter2"


def test_it_prints_as_a_mask_in_every_way_of_printing() -> None:
    secret = Secret(PASSWORD)
    percent = "%s"
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r}", percent % secret, f"{[secret]}"):
        assert PASSWORD not in shown
        assert MASK in shown


def test_it_is_the_text_itself_where_the_wire_needs_it() -> None:
    secret = Secret(PASSWORD)
    assert secret == PASSWORD
    assert {PASSWORD: 1}[secret] == 1
    assert json.dumps(secret) == orjson.dumps(secret).decode() == f'"{PASSWORD}"'
    assert secret.encode() == PASSWORD.encode()
    assert "Bearer " + secret == f"Bearer {PASSWORD}"


@pytest.mark.parametrize("again", [Secret, copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_secret_of_a_secret_keeps_the_text(again: type[Secret]) -> None:
    other = again(Secret(PASSWORD))
    assert other == PASSWORD
    assert str(other) == MASK


def test_reveal_gives_a_plain_text() -> None:
    assert type(Secret(PASSWORD).reveal()) is str
    assert Secret(PASSWORD).reveal() == PASSWORD


def test_it_stays_hidden_in_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("password %s of %r", Secret(PASSWORD), {"p": Secret(PASSWORD)})
    assert PASSWORD not in caplog.text


def test_scrub_masks_known_secrets_and_session_ids_in_paths() -> None:
    text = f"PATCH /v4/sessions/abc123/players/5 with {PASSWORD} failed at '/v4/sessions/xyz'"
    assert (
        scrub(text, Secret(PASSWORD), None) == "PATCH /v4/sessions/***/players/5 with *** failed at '/v4/sessions/***'"
    )


def test_bytes_that_are_secret_show_their_number_only() -> None:
    secret = SecretBytes(PASSWORD.encode())
    assert secret == PASSWORD.encode()
    for shown in (str(secret), repr(secret), f"{secret}", f"{[secret]}"):
        assert shown.strip("[]") == "<15 bytes>"
