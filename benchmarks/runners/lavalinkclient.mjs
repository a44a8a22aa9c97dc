// lavalink-client, measured. Usage: node --expose-gc benchmarks/runners/lavalinkclient.mjs MEASURE ADDRESS COUNT

import { main, peerModule, PASSWORD, USER_ID } from './measures.mjs';

const { LavalinkManager } = peerModule('lavalinkclient', 'lavalink-client');

const manager = new LavalinkManager({
    nodes: [],
    sendToShard: () => {},
    client: { id: USER_ID, username: 'bench' },
});
manager.nodeManager.on('error', () => {});
const bot = { id: USER_ID };
let first = null;

await main({
    async connect(address, name) {
        const [host, port] = address.split(':');
        // `retryDelay` is the pause before it dials again; without one here it would be ten seconds.
        const options = { id: name, host, port: Number(port), authorization: PASSWORD, retryDelay: 1000 };
        const node = manager.nodeManager.createNode(options);
        if (first === null) {
            first = node;
            manager.initiated = true;
        }
        await ready(node, () => node.connect());
    },
    makePlayers(guilds) {
        for (const guildId of guilds) manager.createPlayer({ guildId, voiceChannelId: guildId, node: first });
    },
    onStart: (heard) => manager.on('trackStart', (player) => heard(player.guildId)),
    // It makes nothing of the end of a track that was replaced; what it passes on raw is the marker then.
    onEnd: (heard) =>
        first.NodeManager.on('raw', (node, payload) => {
            if (payload.type === 'TrackEndEvent') heard(payload.guildId);
        }),
    onReady: (heard) =>
        manager.nodeManager.on('raw', (node, payload) => {
            if (payload.op === 'ready') heard();
        }),
    async load(identifier) {
        return (await first.search({ query: identifier }, bot)).tracks.length;
    },
    update: (volume) => manager.players.values().next().value.setVolume(volume),
});

/** Its `connect` event comes after `/v4/info`, its session id with `ready`: a node is usable after both. */
function ready(node, connect) {
    return new Promise((done) => {
        let left = 2;
        const step = () => {
            left -= 1;
            if (left > 0) return;
            manager.nodeManager.off('raw', raw);
            manager.nodeManager.off('connect', connected);
            done();
        };
        const raw = (which, payload) => which === node && payload.op === 'ready' && step();
        const connected = (which) => which === node && step();
        manager.nodeManager.setMaxListeners(0).on('raw', raw);
        manager.nodeManager.on('connect', connected);
        connect();
    });
}
