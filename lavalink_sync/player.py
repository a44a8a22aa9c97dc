"""A guild's player: what users hold to play music there.

Reading (`snapshot`, `position`, ...) never blocks and takes no lock. Changing (`play`, `pause`, ...) is one REST call
that blocks; calls of one guild go out one after the other, in the order they were made, through the guild's gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .core import checks
from .core.playback import PlayerSnapshot
from .core.voice import VoiceMerge
from .errors import ConfigError, InvalidArgumentError, WaitTimeoutError
from .models import UNSET, Filters, PlayerState, PlayerUpdate, Track, TrackUpdate, Unset
from .node import Node
from .player_calls import PlayerBase


class Player(PlayerBase):
    """The player of one guild. Made by `Client.player`; every method may be called from any thread.

    Every method that changes something blocks and takes `timeout` in seconds (default: the node's `timeouts.call`),
    which covers waiting for earlier calls of the guild and for a node that is reconnecting. It raises
    `NoNodeAvailableError` or `NodeNotReadyError` when no node was ready until then, `OutcomeUnknownError` when the call
    was sent and never answered, `BadRequestError` with the server's reason when it refuses.
    """

    # What is known without asking the server.

    @property
    def track(self) -> Track | None:
        """The track that plays, or is paused; `None` when nothing does."""
        return self._snapshot.track

    @property
    def paused(self) -> bool:
        """Whether playback is paused."""
        return self._snapshot.paused

    @property
    def volume(self) -> int:
        """The volume in percent, 0 to 1000."""
        return self._snapshot.volume

    @property
    def filters(self) -> Filters:
        """The filters in force, as the server answered them."""
        return self._snapshot.filters

    @property
    def state(self) -> PlayerState:
        """The newest state the server told: server time, position, voice connection, ping."""
        return self._snapshot.state

    @property
    def position(self) -> int:
        """Where playback is now, in milliseconds: the last told position moved on by the local monotonic clock."""
        return self._snapshot.position_at(self._services.clock.monotonic())

    @property
    def voice(self) -> VoiceMerge:
        """What is known of the voice connection: `.state` once complete, `.explain()` at any time."""
        return self.voice_side.merge

    @property
    def channel_id(self) -> int | None:
        """The voice channel the bot is in, as far as it was told."""
        return self.voice_side.merge.channel_id

    # Changing it.

    def update(
        self,
        *,
        track: Track | str | Unset | None = UNSET,
        identifier: str | Unset = UNSET,
        user_data: Mapping[str, Any] | Unset = UNSET,
        position: int | Unset = UNSET,
        end_time: int | Unset | None = UNSET,
        volume: int | Unset = UNSET,
        paused: bool | Unset = UNSET,
        filters: Filters | Unset = UNSET,
        no_replace: bool = False,
        timeout: float | None = None,
    ) -> PlayerSnapshot:
        """Change several things in one call; what is not given stays. `PATCH /v4/sessions/{s}/players/{g}`.

        `track`: a `Track`, its encoded text, or `None` to stop; or `identifier` for the server to resolve (one track,
        no list). `user_data` goes with the track, or to the one that plays. `position` and `end_time` are milliseconds,
        `volume` percent. A new track un-pauses unless `paused` is given. `no_replace`: leave a track that plays alone.
        Returns the snapshot after the server's answer.
        """
        update = PlayerUpdate(
            track=_track_update(track, identifier, user_data),
            position=position,
            end_time=end_time,
            volume=volume,
            paused=paused,
            filters=filters,
        )
        return self._send(update, no_replace=no_replace, timeout=timeout)

    def play(
        self,
        track: Track | str | Unset = UNSET,
        *,
        identifier: str | Unset = UNSET,
        user_data: Mapping[str, Any] | Unset = UNSET,
        position: int | Unset = UNSET,
        end_time: int | Unset | None = UNSET,
        volume: int | Unset = UNSET,
        paused: bool | Unset = UNSET,
        filters: Filters | Unset = UNSET,
        no_replace: bool = False,
        timeout: float | None = None,
    ) -> PlayerSnapshot:
        """Play `track` (a `Track` or its encoded text), or what the server makes of `identifier`. See `update`."""
        if track is None or isinstance(track, Unset) == isinstance(identifier, Unset):
            raise InvalidArgumentError("play needs a track or an identifier, and not both", field="track")
        return self.update(
            track=track,
            identifier=identifier,
            user_data=user_data,
            position=position,
            end_time=end_time,
            volume=volume,
            paused=paused,
            filters=filters,
            no_replace=no_replace,
            timeout=timeout,
        )

    def stop(self, *, timeout: float | None = None) -> PlayerSnapshot:
        """Stop what plays; its `TrackEndEvent` has the reason `stopped`. Stopping nothing is fine."""
        return self.update(track=None, timeout=timeout)

    def pause(self, *, timeout: float | None = None) -> PlayerSnapshot:
        """Pause. There is no event of that."""
        return self.update(paused=True, timeout=timeout)

    def resume(self, *, timeout: float | None = None) -> PlayerSnapshot:
        """Go on after `pause`."""
        return self.update(paused=False, timeout=timeout)

    def seek(self, position: int, *, timeout: float | None = None) -> PlayerSnapshot:
        """Move to `position` in milliseconds. Without a track the server ignores it."""
        return self.update(position=position, timeout=timeout)

    def set_volume(self, percent: int, *, timeout: float | None = None) -> PlayerSnapshot:
        """Set the volume, 0 to 1000 percent."""
        return self.update(volume=percent, timeout=timeout)

    def set_filters(self, filters: Filters, *, timeout: float | None = None) -> PlayerSnapshot:
        """Replace all filters; `Filters()` takes them all away."""
        return self.update(filters=filters, timeout=timeout)

    def connect(
        self, channel_id: int, *, self_mute: bool = False, self_deaf: bool = True, timeout: float | None = None
    ) -> None:
        """Join the voice channel `channel_id` and return once the server has the connection.

        Calls the client's `send_voice_state`, then waits for the voice data that Discord sends back to be handed to
        `client.on_voice_state_update` and `on_voice_server_update`, and for the server to take it. `timeout` is in
        seconds (`timeouts.voice`); `WaitTimeoutError` says which part never came, or why it was given up before that.
        Where there is no node yet, one is waited for before Discord is asked; `NoNodeAvailableError` if none came.
        """
        checks.channel_id(channel_id)
        deadline = self._deadline(self._services.voice_timeout if timeout is None else timeout)
        # What went wrong before is no answer to this.
        self.voice_side.forgive()
        self._find_a_place(deadline)
        self._announce(channel_id, self_mute, self_deaf)
        if not self.voice_side.wait(channel_id, deadline):
            self._check_alive()
            raise WaitTimeoutError(
                f"guild {self.guild_id}: no voice connection to channel {channel_id}: {self.voice.explain()}"
            )

    def disconnect(self) -> None:
        """Leave the voice channel: tells Discord through the client's `send_voice_state`. The player stays."""
        self._check_alive()
        # Before Discord can answer: what it says next is then known to be what was asked for.
        before = self.voice_side.leave()
        try:
            self._announce(None, False, False)
        except BaseException:
            self.voice_side.stay(before)
            raise

    def _announce(self, channel_id: int | None, self_mute: bool, self_deaf: bool) -> None:
        send = self._services.send_voice_state
        if send is None:
            raise ConfigError(
                "connect and disconnect need Client(send_voice_state=...): a function that sends Discord's gateway op 4"
            )
        send(self.guild_id, channel_id, self_mute, self_deaf)

    def move_to(self, node: Node, *, timeout: float | None = None) -> None:
        """Go on playing on `node`: the same track at the position it would have, volume, pause, filters, voice.

        Other calls of the guild wait meanwhile. If the target can't take the player, it stays where it was, and the
        error is raised.
        """
        deadline = self._deadline(timeout)
        if node is not self._node:
            self._services.move(self, node, deadline)

    def destroy(self, *, timeout: float | None = None) -> None:
        """Remove the player here and on the server. `DELETE /v4/sessions/{s}/players/{g}`. Idempotent.

        The client forgets it in any case, also when the call fails and raises.
        """
        if self._destroyed:
            return
        deadline = self._deadline(timeout)
        self._flush()
        try:
            with self._gate.turn(deadline, what=f"destroying guild {self.guild_id}'s player") as turn:
                try:
                    self._destroy_on_its_node(turn, deadline)
                finally:
                    # Still in the turn, so that nothing makes it anew behind it.
                    self.detach()
        finally:
            self.detach()


def _track_update(
    track: Track | str | Unset | None, identifier: str | Unset, user_data: Mapping[str, Any] | Unset
) -> TrackUpdate | Unset:
    """The `track` object of the PATCH; a track's own user data goes along unless other data is given."""
    if track is UNSET and identifier is UNSET and user_data is UNSET:
        return UNSET
    data: Mapping[str, Any] | Unset = user_data
    encoded: str | Unset | None
    if isinstance(track, Track):
        encoded = track.encoded
        if isinstance(data, Unset) and track.user_data:
            data = track.user_data
    else:
        encoded = track
    return TrackUpdate(
        encoded=encoded, identifier=identifier, user_data=dict(data) if isinstance(data, Mapping) else data
    )
