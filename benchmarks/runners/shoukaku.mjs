// Shoukaku, measured. Usage: node --expose-gc benchmarks/runners/shoukaku.mjs MEASURE ADDRESS COUNT

import { main, peerModule, PASSWORD, USER_ID } from './measures.mjs';

const { Connector, Player, Shoukaku } = peerModule('shoukaku', 'shoukaku');

/** What joins it to a Discord library; there is none, and it is ready at once. */
class NoDiscord extends Connector {
    getId() {
        return USER_ID;
    }

    sendPacket() {}

    listen(nodes) {
        this.ready(nodes);
    }
}

const shoukaku = new Shoukaku(new NoDiscord({}), [], { reconnectInterval: 1 });
shoukaku.on('error', () => {});
const first = () => shoukaku.nodes.get('bench');

await main({
    async connect(address, name) {
        const ready = new Promise((done) => {
            const told = (which) => {
                if (which !== name) return;
                shoukaku.off('ready', told);
                done();
            };
            shoukaku.setMaxListeners(0).on('ready', told);
        });
        shoukaku.addNode({ name, url: address, auth: PASSWORD });
        await ready;
    },
    makePlayers(guilds) {
        // What `joinVoiceChannel` does once Discord has answered.
        for (const guild of guilds) shoukaku.players.set(guild, new Player(guild, first()));
    },
    onStart(heard) {
        for (const player of shoukaku.players.values()) player.on('start', (event) => heard(event.guildId));
    },
    onEnd(heard) {
        for (const player of shoukaku.players.values()) player.on('end', (event) => heard(event.guildId));
    },
    onReady(heard) {
        shoukaku.on('ready', () => heard());
    },
    async load(identifier) {
        const found = await first().rest.resolve(identifier);
        return found.loadType === 'playlist' ? found.data.tracks.length : 1;
    },
    update: (volume) => shoukaku.players.values().next().value.setGlobalVolume(volume),
});
