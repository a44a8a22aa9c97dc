"""Where on earth a node or a voice server is, by the names that users and Discord give.

Discord tells a voice server's place in its host name: `rotterdam1234.discord.media`, or with an airport's code
`c-ams12-0a1b2c3d.discord.media`. Users give a node the region that suits them: a place (`rotterdam`, `us-east`) or an
area that is listed here (`eu`).
"""

from __future__ import annotations

import re

_PLACE = re.compile(r"(?:c-)?([a-z]+(?:-[a-z]+)*)")

# Which area a place is in: Discord's names of its voice regions, and the airports' codes of its host names.
AREAS = {
    "eu": "amsterdam bucharest europe eu-central eu-west finland frankfurt london madrid milan rotterdam russia "
    "st-pete stockholm warsaw ams arn buh cdg fra hel lhr mad mil mrs mxp otp waw",
    "us": "atlanta montreal newark oregon santa-clara seattle us-central us-east us-south us-west atl bos dfw ewr iad "
    "lax mia ord sea sjc yul yyz",
    "asia": "hongkong india jakarta japan singapore south-korea bom cgk del hkg hnd icn maa nrt sin tpe",
    "middle-east": "dammam dubai tel-aviv dmm dxb tlv",
    "south-america": "brazil buenos-aires santiago bog eze gru scl",
    "africa": "southafrica cpt jnb",
    "oceania": "sydney akl mel syd",
}
_AREA_OF = {place: area for area, places in AREAS.items() for place in places.split()}


def place_of(text: str) -> str:
    """Return the place in a region's name or a voice server's endpoint; an empty text where there is none."""
    match = _PLACE.match(text.strip().lower().replace("_", "-"))
    return "" if match is None else match[1]


def distance(region: str | None, wanted: str) -> int:
    """How far a node of `region` is from `wanted`, which is a region's name or a voice server's endpoint.

    0: one is the other or a part of it, as `us` and `us-east`, or `rotterdam` and `eu`. 1: both are in the same area.
    2: they are not, or nothing is known of one of them.
    """
    here, there = place_of(region or ""), place_of(wanted)
    if not here or not there:
        return 2
    if here == there or _is_part(here, there) or _is_part(there, here):
        return 0
    return 1 if here in _AREA_OF and _AREA_OF[here] == _AREA_OF.get(there) else 2


def _is_part(place: str, of: str) -> bool:
    return place.startswith(f"{of}-") or _AREA_OF.get(place) == of
