// The measures, once for both clients on Node: what a peer's own runner gives is how that library does each thing.
// `ours.py` and `asyncio_measures.py` do the same in Python.

import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const FIRST = 817327181659110000n;
const TRACK = 'https://media.example/track';
const PLAYLIST = 'https://media.example/playlist/5000';
const WARM_UP = 0.1;
const STEADY = 2100;
const PATIENCE = 60000;

export const PASSWORD = 'youshallnotpass';
export const USER_ID = '817327181659111454';

export const guilds = (count) => Array.from({ length: count }, (_, n) => String(FIRST + BigInt(n)));
const TEN = guilds(10);

/** The package out of the environment that was made for this runner. */
export function peerModule(runner, name) {
    const folder = new URL(`../../.cache/bench/${runner}/package.json`, import.meta.url);
    return createRequire(fileURLToPath(folder))(name);
}

const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
};
const now = () => process.hrtime.bigint();
const milliseconds = (from, to) => Number(to - from) / 1e6;
const sleep = (time) => new Promise((done) => setTimeout(done, time));
const sorted = (values) => [...values].sort((a, b) => a - b);
const percentile = (values, share) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))];

function ask(address, what) {
    return new Promise((done, fail) => {
        http.get(`http://${address}/bench/${what}`, { agent: false }, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            // The times are whole nanoseconds, more than a double holds.
            response.on('end', () => done(Buffer.concat(parts).toString()));
        }).on('error', fail);
    });
}

/** A promise that can be made anew and resolved from a handler. */
class Signal {
    clear() {
        this.waits = new Promise((done, fail) => {
            this.set = done;
            this.alarm = setTimeout(() => fail(new Error('nothing came for a minute')), PATIENCE);
        });
    }

    async wait() {
        try {
            return await this.waits;
        } finally {
            clearTimeout(this.alarm);
        }
    }
}

async function flooded(peer, address, count, kind, players = 10) {
    const over = new Signal();
    peer.onEnd(() => over.set());
    let used = 0;
    for (const size of [Math.floor(count * WARM_UP), count]) {
        over.clear();
        await ask(address, `flood?kind=${kind}&count=${size}&guilds=${players}`);
        const begun = cpu();
        await over.wait();
        used = cpu() - begun;
    }
    return (used / count) * 1e6;
}

async function ready(peer, address, players = 10) {
    await peer.connect(address, 'bench');
    await peer.makePlayers(guilds(players));
}

async function timed(call, count) {
    for (let n = 0; n < Math.max(1, Math.floor(count * WARM_UP)); n++) await call();
    const took = [];
    const used = cpu();
    for (let n = 0; n < count; n++) {
        const begun = now();
        await call();
        took.push(milliseconds(begun, now()) * 1e3);
    }
    return { cpu_us: ((cpu() - used) / count) * 1e6, p50_us: percentile(took, 0.5) };
}

async function updates(peer, address, count, players = 10) {
    await ready(peer, address, players);
    return { cpu_us: await flooded(peer, address, count, 'update', players) };
}

async function many(peer, address, prefix, count) {
    await Promise.all(Array.from({ length: count }, (_, n) => peer.connect(address, `${prefix}${n}`)));
}

const MEASURES = {
    updates,
    updates_10000: (peer, address, count) => updates(peer, address, count, 10000),

    async events(peer, address, count) {
        let seen = 0;
        await ready(peer, address);
        peer.onStart(() => (seen += 1));
        const used = await flooded(peer, address, count, 'start');
        const total = count + Math.floor(count * WARM_UP);
        if (seen !== total) throw new Error(`${seen} of ${total} events came`);
        return { cpu_us: used };
    },

    async unheard(peer, address, count) {
        await ready(peer, address);
        return { cpu_us: await flooded(peer, address, count, 'start') };
    },

    async latency(peer, address, count) {
        const heard = new Map(TEN.map((guild) => [guild, []]));
        const over = new Signal();
        let left = count;
        await ready(peer, address);
        peer.onStart((guild) => {
            heard.get(guild).push(now());
            if (--left === 0) over.set();
        });
        over.clear();
        await ask(address, `paced?count=${count}&rate=2000`);
        const used = cpu();
        await over.wait();
        const spent = cpu() - used;
        const sent = (await ask(address, 'sent')).slice(1, -1).split(',').map(BigInt);
        const late = [];
        for (const [index, guild] of TEN.entries()) {
            heard.get(guild).forEach((at, n) => late.push(milliseconds(sent[index + n * 10], at) * 1e3));
        }
        return { p50_us: percentile(late, 0.5), p99_us: percentile(late, 0.99), cpu_us: (spent / count) * 1e6 };
    },

    async load(peer, address, count) {
        await ready(peer, address);
        return timed(() => peer.load(TRACK), count);
    },

    async load_16(peer, address, count) {
        await ready(peer, address);
        const some = async (times) => {
            for (let n = 0; n < times; n++) await peer.load(TRACK);
        };
        let values = {};
        for (const size of [Math.floor(count * WARM_UP), count]) {
            const each = Math.floor(size / 16);
            const begun = now();
            const used = cpu();
            await Promise.all(Array.from({ length: 16 }, () => some(each)));
            const calls = each * 16;
            values = { calls_s: calls / (milliseconds(begun, now()) / 1e3), cpu_us: ((cpu() - used) / calls) * 1e6 };
        }
        return values;
    },

    async playlist(peer, address, count) {
        await ready(peer, address);
        const { cpu_us, p50_us } = await timed(async () => {
            const found = await peer.load(PLAYLIST);
            if (found !== 5000) throw new Error(`${found} tracks of 5000`);
        }, count);
        return { cpu_us: cpu_us / 5000, p50_us: p50_us / 5000 };
    },

    async update(peer, address, count) {
        let volume = 0;
        await ready(peer, address);
        return timed(() => peer.update(volume++ % 100), count);
    },

    async memory(peer, address, count) {
        await ready(peer, address, 0);
        global.gc();
        const before = process.memoryUsage().heapUsed;
        await peer.makePlayers(guilds(count));
        const over = new Signal();
        peer.onEnd(() => over.set());
        over.clear();
        await ask(address, `flood?kind=update&count=${count}&guilds=${count}`);
        await over.wait();
        await sleep(200);
        global.gc();
        return { bytes: (process.memoryUsage().heapUsed - before) / count };
    },

    async connect(peer, address, count) {
        const took = [];
        for (let n = 0; n < count; n++) {
            const begun = now();
            await peer.connect(address, `node${n}`);
            took.push(milliseconds(begun, now()));
        }
        return { ms: percentile(took, 0.5) };
    },

    async connect_50(peer, address, count) {
        const took = [];
        for (let n = 0; n < count; n++) {
            const begun = now();
            await many(peer, address, `round${n}-`, 50);
            took.push(milliseconds(begun, now()));
        }
        return { ms: percentile(took, 0.5) };
    },

    async reset(peer, address, count) {
        const back = new Signal();
        await ready(peer, address);
        peer.onReady(() => back.set(now()));
        const took = [];
        for (let n = 0; n < count; n++) {
            await sleep(STEADY);
            back.clear();
            const begun = BigInt(await ask(address, 'reset'));
            took.push(milliseconds(begun, await back.wait()));
        }
        return { ms: percentile(took, 0.5) };
    },

    async nodes_500(peer, address, count) {
        await ready(peer, address, 0);
        const resident = () => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;
        const descriptors = () => readdirSync('/proc/self/fd').length;
        const before = [resident(), descriptors()];
        for (let at = 0; at < count; at += 50) await many(peer, address, `many${at}-`, Math.min(50, count - at));
        const [memory, files] = [resident() - before[0], descriptors() - before[1]];
        const used = cpu();
        await sleep(2000);
        return { kb: memory / count / 1024, fds: files / count, idle_percent: ((cpu() - used) / 2) * 100 };
    },
};

/** Run the measure that the command line names (MEASURE ADDRESS COUNT), print one line of JSON, and end. */
export async function main(peer) {
    const [measure, address, count] = process.argv.slice(2);
    if (!(measure in MEASURES)) throw new Error(`${measure} does not apply to Node`);
    const values = await MEASURES[measure](peer, address, Number(count));
    process.stdout.write(`${JSON.stringify({ measure, count: Number(count), values })}\n`, () => process.exit(0));
}
