// What a program on node-postgres does all day, through the proxy.
//
// usage: node with_pg.js HOST PORT USER PASSWORD DATABASE transaction|session
'use strict';
const assert = require('assert');
const pg = require('pg');

const [host, port, user, password, database, mode] = process.argv.slice(2);
const table = `node_${mode}`;
const connect = async () => {
    const client = new pg.Client({host, port: Number(port), user, password, database});
    await client.connect();
    return client;
};
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// node-postgres leaves COPY to whoever submits a query of their own.
class CopyIn {
    constructor(sql, chunks, failure) { Object.assign(this, {sql, chunks, failure}); this.done = new Promise((yes, no) => Object.assign(this, {yes, no})); }
    submit(connection) { this.connection = connection; connection.query(this.sql); }
    handleCopyInResponse(connection) {
        for (const chunk of this.chunks) connection.sendCopyFromChunk(Buffer.from(chunk));
        if (this.failure) connection.sendCopyFail(this.failure); else connection.endCopyFrom();
    }
    handleCommandComplete(message) { this.tag = message.text; }
    handleError(error) { this.no(error); }
    handleReadyForQuery() { this.yes(this.tag); }
}
class CopyOut {
    constructor(sql) { this.sql = sql; this.chunks = []; this.done = new Promise((yes, no) => Object.assign(this, {yes, no})); }
    submit(connection) { connection.query(this.sql); }
    handleCopyData(message) { this.chunks.push(Buffer.from(message.chunk)); }
    handleCommandComplete() {}
    handleError(error) { this.no(error); }
    handleReadyForQuery() { this.yes(Buffer.concat(this.chunks).toString()); }
}

const jobs = {
    async preparedStatements() {
        const work = async (which) => {
            const client = await connect();
            for (let turn = 0; turn < 40; ++turn) {
                // The same name means another statement for each client.
                const same = await client.query({name: 'same', text: `select $1::int * ${which} as product`, values: [turn]});
                assert.strictEqual(same.rows[0].product, turn * which);
                await client.query('begin');
                const own = await client.query({name: `turn ${turn % 7}`, text: `select ${turn % 7} + $1::int as sum`, values: [which]});
                assert.strictEqual(own.rows[0].sum, turn % 7 + which);
                await client.query('commit');
            }
            await client.end();
        };
        await Promise.all([1, 2, 3, 4, 5, 6].map(work));
    },
    async queueOfQueries(client) {
        const answers = await Promise.all(Array.from({length: 200}, (_, n) => client.query('select $1::int as n', [n])));
        assert.deepStrictEqual(answers.map((one) => one.rows[0].n), Array.from({length: 200}, (_, n) => n));
    },
    async pool() {
        const pool = new pg.Pool({host, port: Number(port), user, password, database, max: 10});
        const answers = await Promise.all(Array.from({length: 100}, (_, n) => pool.query({name: 'pooled', text: 'select $1::int + 1 as n', values: [n]})));
        assert.deepStrictEqual(answers.map((one) => one.rows[0].n), Array.from({length: 100}, (_, n) => n + 1));
        await pool.end();
    },
    async copyBothWays(client) {
        const lines = Array.from({length: 20000}, (_, n) => `${n}\tline ${n}\n`);
        await client.query(`drop table if exists ${table}; create table ${table} (n int, t text)`);
        assert.strictEqual(await client.query(new CopyIn(`copy ${table} from stdin`, lines)).done, 'COPY 20000');
        assert.strictEqual(await client.query(new CopyOut(`copy (select * from ${table} order by n) to stdout`)).done, lines.join(''));
        await assert.rejects(client.query(new CopyIn(`copy ${table} from stdin`, ['x\ty\n', ...lines])).done, {code: '22P02'});
        await assert.rejects(client.query(new CopyIn(`copy ${table} from stdin`, lines, 'given up')).done, {code: '57014'});
        assert.strictEqual((await client.query(`select count(*)::int as n from ${table}`)).rows[0].n, 20000);
    },
    async cancel(client) {
        for (let turn = 0; turn < 3; ++turn) {
            const running = client.query('select pg_sleep(20)');
            const refused = assert.rejects(running, {code: '57014'});
            await sleep(200);
            const began = Date.now();
            const asker = new pg.Client({host, port: Number(port), user, password, database});
            asker.cancel(client, client.activeQuery);
            await refused;
            assert(Date.now() - began < 5000);
            assert.strictEqual((await client.query('select 1 as one')).rows[0].one, 1);
        }
    },
    async largeObjects(client) {
        const data = Buffer.alloc(500000, 'large object');
        const {number} = (await client.query('select lo_from_bytea(0, $1) as number', [data])).rows[0];
        assert(data.equals((await client.query('select lo_get($1) as data', [number])).rows[0].data));
        await client.query('select lo_unlink($1)', [number]);
    },
    async notices(client) {
        const seen = [];
        client.on('notice', (notice) => seen.push(notice.message));
        await client.query("do $$ begin for i in 1..10 loop raise notice 'notice %', i; end loop; end $$");
        assert.deepStrictEqual(seen, Array.from({length: 10}, (_, n) => `notice ${n + 1}`));
    },
    async errorsInTransactions(client) {
        for (let turn = 0; turn < 5; ++turn) {
            await client.query('begin');
            await assert.rejects(client.query({name: 'divide', text: 'select 1 / $1::int', values: [0]}), {code: '22012'});
            await assert.rejects(client.query('select 1'), {code: '25P02'});
            await client.query('rollback');
            await assert.rejects(client.query({name: 'missing', text: 'select $1::int from missing_table', values: [0]}), {code: '42P01'});
            const {rows} = await client.query({name: 'divide', text: 'select 1 / $1::int', values: [1]});
            assert.strictEqual(Object.values(rows[0])[0], 1);
        }
    },
    async largeResults(client) {
        const {rows} = await client.query("select n, repeat('x', 1000) as t from generate_series(1, 20000) n");
        assert.strictEqual(rows.length, 20000);
        const big = await client.query('select length($1) as n', ['y'.repeat(10000000)]);
        assert.strictEqual(big.rows[0].n, 10000000);
    },
};
if (mode === 'session') {
    jobs.listen = async (client) => {
        const seen = [];
        client.on('notification', (one) => seen.push(one.payload));
        await client.query('listen node');
        const sender = await connect();
        for (let n = 0; n < 3; ++n) await sender.query("select pg_notify('node', $1)", [String(n)]);
        await sender.end();
        for (let turn = 0; turn < 100 && seen.length < 3; ++turn) await sleep(20);
        assert.deepStrictEqual(seen, ['0', '1', '2']);
    };
}

(async () => {
    for (const [name, job] of Object.entries(jobs)) {
        try {
            const client = await connect();
            await job(client);
            await client.end();
        } catch (error) {
            console.error(`node-postgres, ${mode} mode: ${name}`);
            throw error;
        }
    }
    console.log(`node-postgres on node ${process.version}, ${mode} mode: ${Object.keys(jobs).length} jobs`);
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
