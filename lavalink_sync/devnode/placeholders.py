"""What must not be written down, and what is written in its place: `<password>`, `<session-1>`, `<voice-token-1>`.

Secrets are learned from where they stand (headers, paths, keys of JSON) and then replaced wherever they occur, also in
percent encoding, escaped as JSON does it, or in base64. The same value has the same placeholder, always.
"""

from __future__ import annotations

import base64
import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

__all__ = ["PLACEHOLDER", "Placeholders"]

PLACEHOLDER = re.compile(
    r"<(?:password(?:-\d+)?|(?:wrong-password|session|voice-token|voice-session|cookie|secret)-\d+)>"
)

# From this length on a value is replaced inside of other texts, from the other as a word of its own. What is shorter
# ("t") is replaced only where secrets stand: it would be found in everything.
_ANYWHERE = 8
_AS_WORD = 4
_DEPTH = 60
_HEADERS = {
    "authorization": "password",
    "session-id": "session",
    "cookie": "cookie",
    "set-cookie": "cookie",
    "proxy-authorization": "secret",
}
_KEYS = {"token": "voice-token", "sessionid": "voice-session", "session_id": "voice-session"}
_SECRETIVE = re.compile(r"(?:token|secret|password|cookie|authorization|api_?key)$|^(?:arl|spdc)$", re.IGNORECASE)
_IN_PATH = re.compile(r"(?<=/sessions/)([^/?#\s\"&]+)")
# Pairs in JSON that is not whole, and in forms.
_IN_TEXT = re.compile(r'"([A-Za-z_-]+)"\s*:\s*"((?:[^"\\]|\\.)*)|(?:^|[?&;\s])([A-Za-z_-]+)=([^\s"\'&;,}]+)')
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_CACHED = 1000
_ESCAPES = {" ": r"\+", '"': r"\\\"", "/": r"\\/", "\\": r"\\\\"}


class _Secret:
    """A value, its `forms` (as it is, in base64), and its name. No `repr`: that would be one more place where it shows.

    `pattern` finds it in every other spelling, too.
    """

    __slots__ = ("forms", "label", "name", "pattern", "value")

    def __init__(self, label: str, value: str) -> None:
        self.label = label
        self.value = value
        self.name: str | None = None
        plain = value.encode("utf-8", "surrogatepass")
        coded = [base64.b64encode(plain), base64.urlsafe_b64encode(plain)] if len(value) >= _ANYWHERE else []
        forms = [form.decode().rstrip("=") for form in coded]
        pattern = "".join(map(_any_spelling, value))
        if len(value) < _ANYWHERE:
            pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
        self.forms = [value, *forms]
        self.pattern = "|".join([pattern, *(re.escape(form) + "={0,2}" for form in forms)])


class Placeholders:
    """The secrets of one recording. `extra`: values to be hidden from the beginning, as `<secret-1>` and so on."""

    def __init__(self, extra: Iterable[str] = ()) -> None:
        self._secrets: dict[str, _Secret] = {}
        self._numbers: Counter[str] = Counter()
        self._combined: dict[tuple[str, ...], re.Pattern[str]] = {}
        for value in extra:
            self.learn("secret", value)

    # --- learning

    def learn(self, label: str, value: str, name: str | None = None) -> None:
        """`value` is a secret from now on. It keeps the label, or the `name`, that it was given first."""
        value = value.strip()
        if value and value not in self._secrets and not PLACEHOLDER.fullmatch(value):
            self._secrets[value] = secret = _Secret(label, value)
            secret.name = name

    def learn_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Learn from a head."""
        for name, value in headers:
            label = _HEADERS.get(name.lower()) or _label(name.rpartition("-")[2])
            if label is not None:
                self.learn(label, value)
                scheme, _, rest = value.strip().partition(" ")
                if scheme.lower() in ("basic", "bearer"):
                    self.learn("secret", rest)

    def learn_target(self, target: str) -> None:
        """Learn from a path with its query."""
        path, _, query = target.partition("?")
        for found in _IN_PATH.findall(path):
            self.learn("session", unquote(found))
        for name, value in parse_qsl(query):
            label = _label(name)
            if label is not None:
                self.learn(label, value)

    def learn_json(self, value: Any, depth: int = 0) -> None:
        """Learn from parsed JSON. Raises `RecursionError` when it is nested too deeply to be looked at."""
        if depth > _DEPTH:
            raise RecursionError("nested too deeply")
        if isinstance(value, Mapping):
            ready = value.get("op") == "ready"
            for key, item in value.items():
                label = _label(key)
                if label is not None and isinstance(item, str):
                    self.learn("session" if ready and label == "voice-session" else label, item)
                self.learn_json(item, depth + 1)
        elif isinstance(value, list):
            for item in value:
                self.learn_json(item, depth + 1)

    def learn_text(self, text: str) -> None:
        """Learn from a text that may have been meant as JSON or as a form."""
        for key, quoted, name, bare in _IN_TEXT.findall(text):
            label = _label(key or name)
            if label is not None:
                self.learn(label, re.sub(r"\\(.)", r"\1", quoted) if quoted else unquote(bare))

    def judge_password(self, value: str, refused: bool) -> None:
        """Tell how the server took a password, which decides what it is called. The first judgement counts."""
        secret = self._secrets.get(value.strip())
        if secret is not None and secret.label == "password" and secret.name is None and refused:
            secret.label = "wrong-password"

    # --- replacing

    def hide(self, value: Any) -> Any:
        """Return JSON (or a text) with every secret replaced."""
        return self._hide(value, "", self._in_any(_strings(value)))

    def hide_text(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        return self._hide_text(text, self._in_any([text]))

    def _in_any(self, texts: Iterable[str]) -> list[_Secret]:
        """The secrets that are somewhere in `texts`, the longest first. Most lines have none: that is seen quickly."""
        texts = list(texts)
        views = ["\n".join(texts)]
        odd = "\n".join(text for text in texts if "%" in text or "\\" in text or "+" in text)
        if odd:
            unescaped = _ESCAPED.sub(_unescaped, odd)
            views += [unescaped, unquote(odd), unquote_plus(odd), unquote_plus(unescaped)]
        found = [
            secret
            for secret in self._secrets.values()
            if self._reach(secret) >= _AS_WORD and any(form in view for view in views for form in secret.forms)
        ]
        return sorted(found, key=lambda secret: -len(secret.value))

    def _hide(self, value: Any, key: str, found: list[_Secret]) -> Any:
        if isinstance(value, str):
            whole = self._secrets.get(value.strip()) if _is_secretive(key) else None
            return self._name(whole) if whole is not None else self._hide_text(value, found)
        if isinstance(value, Mapping):
            keys = [secret for secret in found if len(secret.value) >= _ANYWHERE]
            return {self._hide_free(name, keys): self._hide(item, name, found) for name, item in value.items()}
        if isinstance(value, list):
            return [self._hide(item, key, found) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            whole = self._secrets.get(str(value))
            return self._name(whole) if whole is not None and len(whole.value) >= _ANYWHERE else value
        return value

    def _hide_text(self, text: str, found: list[_Secret]) -> str:
        text = self._hide_free(text, found)
        return _IN_PATH.sub(self._hide_in_path, text) if "/sessions/" in text else text

    def _hide_in_path(self, match: re.Match[str]) -> str:
        """A session's id in its place is hidden however short it is."""
        found = self._secrets.get(unquote(match.group()))
        return match.group() if found is None else self._name(found)

    def _hide_free(self, text: str, found: list[_Secret]) -> str:
        if not found:
            return text
        # All in one go: a placeholder is not looked at again.
        key = tuple(secret.value for secret in found)
        if key not in self._combined:
            if len(self._combined) > _CACHED:
                self._combined.clear()
            self._combined[key] = re.compile("|".join(f"({secret.pattern})" for secret in found))
        return self._combined[key].sub(lambda match: self._name(found[(match.lastindex or 1) - 1]), text)

    def _reach(self, secret: _Secret) -> int:
        """How long a value counts as: a short wrong password ("wrong") is hidden in its header and nowhere else."""
        length = len(secret.value)
        return 0 if secret.label == "wrong-password" and length < _ANYWHERE else length

    def _name(self, secret: _Secret) -> str:
        if secret.name is None:
            self._numbers[secret.label] += 1
            number = self._numbers[secret.label]
            first = secret.label == "password" and number == 1
            secret.name = "<password>" if first else f"<{secret.label}-{number}>"
        return secret.name


def _strings(value: Any) -> Iterator[str]:
    """Every text in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _unescaped(match: re.Match[str]) -> str:
    code, char = match.groups()
    return chr(int(code, 16)) if code else str(char)


@functools.lru_cache(1024)
def _label(key: str) -> str | None:
    """What kind of secret stands under `key`, if any does."""
    return _KEYS.get(key.lower()) or ("secret" if _SECRETIVE.search(key) else None)


@functools.lru_cache(1024)
def _is_secretive(key: str) -> bool:
    return key.lower() in _HEADERS or _label(key) is not None or _label(key.rpartition("-")[2]) is not None


def _any_spelling(char: str) -> str:
    """A pattern for one character as it is, percent-encoded, and escaped as in JSON."""
    coded = char.encode("utf-8", "surrogatepass")
    percent = "".join(f"%{byte:02x}" for byte in coded)
    units = char.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    spellings = [re.escape(char), f"(?i:{percent})", f"(?i:{escaped})"]
    if char in _ESCAPES:
        spellings.append(_ESCAPES[char])
    return f"(?:{'|'.join(spellings)})"
