// A store that is moved by `leasehold-server export` and `import`: what an operator sees, and that guests see nothing.

import {
  appendFileSync,
  copyFileSync,
  existsSync,
  lstatSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { writeManyReservations } from '../support/many-reservations.js';
import { hasMongod } from '../support/mongod-binary.js';
import { startProgram, traceLines, type WatchedProcess } from '../support/processes.js';
import { refusalOf } from '../support/refusal.js';
import { ReplicaSet } from '../support/replica-set.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

const COUNT = 20_000;

/** Runs the program to its end: exit code and what it said, without what came in between. */
async function ended(...args: readonly string[]): Promise<{ readonly code: number; readonly last: string }> {
  await using program = startProgram('leasehold-server', args);
  const code = await program.exited;
  expect(traceLines(program.lines)).toEqual([]);
  return { code, last: program.lines.findLast(({ stream }) => stream === 'stderr')?.text ?? '' };
}

describe('on the embedded store', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let file: string;
  const at = (name: string) => join(directory.path, name);
  const storeAt = (name: string) => `embedded:${at(name)}`;

  beforeAll(() => {
    directory = temporaryDirectory('moving-');
    file = at('many.jsonl');
    writeManyReservations(file, COUNT);
  });

  afterAll(() => directory[Symbol.dispose]());

  function serverOn(store: string): WatchedProcess {
    const listen = ['--listen', `unix:${at('api.sock')}`, '--agent-listen', `unix:${at('agents.sock')}`];
    return startProgram('leasehold-server', ['--insecure', ...listen, '--metrics-listen', 'off', '--store', store]);
  }

  const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

  /** All but the first line and the last one, which has the checksum of that, too. */
  const documentsOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(1, -2);

  async function exportsTheSame(store: string): Promise<void> {
    const output = at('again.jsonl');
    expect(await ended('export', '--store', store, '--output', output)).toMatchObject({ code: 0 });
    expect(documentsOf(output)).toEqual(documentsOf(file));
    expect(existsSync(`${output}.partial`)).toBe(false);
  }

  test('an import that is killed at any moment can be done again, and nothing half is served meanwhile', async () => {
    const store = storeAt('killed');
    let [unfinished, isComplete] = [0, false];
    for (const bytes of [1, 100_000, 1_000_000, 2_500_000]) {
      await using importing = startProgram('leasehold-server', ['import', '--input', file, '--store', store]);
      await eventually('so much of it is written', async () => sizeOf(at('killed/data.mdb')) >= bytes);
      await importing.kill();
      const { code, last } = await ended('export', '--store', store, '--output', at('half.jsonl'));
      // It was quicker than we.
      isComplete = code === 0;
      if (isComplete) break;
      // Before its mark, it is as if it had never begun.
      if (last.includes('holds no store')) continue;
      unfinished++;
      const told = 'holds an import that did not finish: run leasehold-server import on it again';
      expect(last).toContain(told);
      await using server = serverOn(store);
      expect(await server.exited).toBe(1);
      expect(server.lines.at(-1)?.text).toContain(told);
    }
    expect(unfinished).toBeGreaterThan(0);
    expect(existsSync(at('half.jsonl'))).toBe(isComplete);
    if (!isComplete) expect(await ended('import', '--input', file, '--store', store)).toMatchObject({ code: 0 });
    await exportsTheSame(store);
  });

  test('a whole export is checked without a store, imported once, and comes out the same', async () => {
    const store = storeAt('moved');
    const dry = await ended('import', '--input', file, '--store', store, '--dry-run');
    expect(dry).toMatchObject({ code: 0 });
    expect(dry.last).toContain(
      'is whole: 1 network, 1 host, 20,000 addresses, 0 ended tenures, 0 audit events; the store is empty',
    );
    expect(existsSync(at('moved'))).toBe(false);
    const imported = await ended('import', '--input', file, '--store', store);
    expect(imported.last).toContain(
      'imported 1 network, 1 host, 20,000 addresses, 0 ended tenures, 0 audit events into embedded:',
    );
    expect(imported.last).toContain('now incarnation 2');
    expect((await ended('import', '--input', file, '--store', store)).last).toContain(
      'moved holds a store already: name a directory that is not there, or an empty one',
    );
    await exportsTheSame(store);
    await using piped = startProgram('leasehold-server', ['export', '--store', store]);
    expect(await piped.exited).toBe(0);
    const printed = piped.lines.filter(({ stream }) => stream === 'stdout').map(({ text }) => text);
    expect(printed.slice(1, -1)).toEqual(documentsOf(file));
  });

  test.each([
    [
      'cut short',
      (path: string) => truncateSync(path, 5_000_000),
      /line \d+: not a line of JSON: the file is damaged$/,
    ],
    ['longer than it was', (path: string) => appendFileSync(path, '{}\n'), /line 20005: the end came before it$/],
    ['not there', (path: string) => rmSync(path), /ENOENT/],
  ])('a file that is %s is refused in one line, and nothing is written', async (name, damage, told) => {
    const path = at(`${name}.jsonl`);
    copyFileSync(file, path);
    damage(path);
    const { code, last } = await ended('import', '--input', path, '--store', storeAt('never'));
    expect(code).toBe(1);
    expect(last).toMatch(told);
    expect(last).toMatch(new RegExp(`^leasehold-server import: --input ${path} cannot be imported: `));
    expect(existsSync(at('never'))).toBe(false);
  });

  test.each([
    [['exprot'], /^leasehold-server: unknown command exprot, the nearest is export \(see --help\)$/],
    [['export'], /^leasehold-server export: --store is required/],
    [['import', '--store', 'embedded:/x'], /^leasehold-server import: --input is required/],
    [['import', '--store', 'sqlite:x', '--input', 'x'], /^leasehold-server import: --store "sqlite:x": expected/],
    [['import', '--stoer', 'x'], /^leasehold-server import: unknown option --stoer, the nearest is --store/],
  ])('%j is a wrong command line', async (args, told) => {
    const { code, last } = await ended(...args);
    expect(code).toBe(2);
    expect(last).toMatch(told);
  });

  test('help of the server names the commands, and theirs has examples', async () => {
    for (const [args, told] of [
      [['--help'], 'leasehold-server export --help'],
      [['export', '--help'], 'leasehold-server export --store'],
      [['import', '--help'], '--dry-run'],
    ] as const) {
      await using program = startProgram('leasehold-server', args);
      expect(await program.exited).toBe(0);
      expect(program.lines.map(({ text }) => text).join('\n')).toContain(told);
    }
  });

  test('what cannot be written is told in one line, and a device stays one', async () => {
    const store = storeAt('unwritten');
    await ended('import', '--input', file, '--store', store);
    const full = at('full');
    symlinkSync('/dev/full', full);
    for (const output of ['/nowhere/out.jsonl', full]) {
      const { code, last } = await ended('export', '--store', store, '--output', output);
      expect(code).toBe(1);
      expect(last).toContain(`leasehold-server export: --output ${output} cannot be written: `);
    }
    expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
    expect(lstatSync(full).isSymbolicLink()).toBe(true);
  });
});

describe.skipIf(!(await hasMongod()))('from the embedded store to MongoDB', () => {
  let set: ReplicaSet;
  let cluster: Cluster;
  let leasehold: Leasehold;
  let host: TestHost;

  beforeAll(async () => {
    [set, cluster] = await Promise.all([ReplicaSet.start({ nodes: 1 }), Cluster.start()]);
    leasehold = cluster.client();
    await leasehold.networks.create({ networkId: 'red', labels: { tier: 'gold' } });
    await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24', gateway: '10.1.0.1' });
    host = await cluster.host('h1', ['red']);
    await servingHosts(leasehold, 'red', 1);
  });

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await set[Symbol.asyncDispose]();
  });

  const embedded = () => `embedded:${join(cluster.directory, 'data')}`;

  /** Everything that must be the same after the move. */
  async function everything() {
    const placements = await leasehold.placements.list().toArray();
    const reservations = await leasehold.reservations.list().toArray();
    return {
      network: await leasehold.networks.get('red').then(({ status: _, ...rest }) => rest),
      subnet: await leasehold.subnets.get('red-a'),
      host: await leasehold.hosts.get('h1').then(({ hostId, etag, createTime }) => ({ hostId, etag, createTime })),
      placements: placements.map(({ networkId, hostId, epoch, state }) => ({ networkId, hostId, epoch, state })),
      // How long a released address still rests begins anew with every holder; a host holds it up until it hears this one.
      reservations: reservations.map(({ readyServers: _, reusableTime: _t, blockedByHostIds: _b, ...rest }) => rest),
    };
  }

  test('two commands move it: the guest keeps its address, the host goes on, and requests from before are known', async () => {
    const mac = '52:54:00:00:0c:01';
    const asked = { networkId: 'red', mac, owner: 'vm-1/nic0', requestId: 'start-vm-1' } as const;
    await using guest = await startUdhcpc(await cluster.guest('red', 'g1', mac));
    const { reservation } = await leasehold.reservations.reserve({ ...asked, waitReady: {} });
    expect((await guest.bound()).ip).toBe(reservation.address);
    const other = await leasehold.reservations.reserve({ networkId: 'red', mac: '52:54:00:00:0c:02' });
    await leasehold.reservations.release({ reservationId: other.reservation.reservationId, requestId: 'stop-vm-2' });
    const before = await everything();
    const token = await firstToken();
    const output = join(cluster.directory, 'leasehold.jsonl');
    const exporting = ['export', '--store', embedded(), '--output', output];
    expect(await ended(...exporting)).toMatchObject({
      code: 1,
      last: expect.stringMatching(/Another server uses .*: stop it/),
    });

    expect(await cluster.server.stop()).toBe(0);
    expect(await ended(...exporting)).toMatchObject({ code: 0 });
    const store = set.uri('leasehold');
    expect(await ended('import', '--input', output, '--store', store)).toMatchObject({ code: 0 });
    expect(await guest.renew()).toMatchObject({ kind: 'renew', lease: { ip: reservation.address } });
    const said = host.agent.lines.length;
    await cluster.startServer(['--store', store]);

    await host.agent.waitForLine('Answering DHCP', said);
    await servingHosts(leasehold, 'red', 1);
    expect(await everything()).toEqual(before);
    expect(await guest.renew()).toMatchObject({ kind: 'renew', lease: { ip: reservation.address } });
    const again = await leasehold.reservations.reserve(asked);
    expect(again).toMatchObject({ created: false, reservation: { reservationId: reservation.reservationId } });
    await eventually('the host holds up nothing, and what it held up rests', async () => {
      const rests = await leasehold.reservations.get({ reservationId: other.reservation.reservationId });
      return rests.state === 'quarantined' && rests.blockedByHostIds.length === 0;
    });
    const fresh = '52:54:00:00:0c:03';
    const { reservation: next } = await leasehold.reservations.reserve({ networkId: 'red', mac: fresh, waitReady: {} });
    expect((await runUdhcpc(await cluster.guest('red', 'g3', fresh)))?.ip).toBe(next.address);
    expect(await refusalOf(readOnce({ resumeToken: token }))).toMatchObject({ reason: 'WATCH_COMPACTED' });
  });

  test('an import that was killed is not served, and is done again', async () => {
    const many = join(cluster.directory, 'many.jsonl');
    writeManyReservations(many, COUNT);
    const importing = ['import', '--input', many, '--store', set.uri('killed')];
    await using killed = startProgram('leasehold-server', importing);
    const primary = await set.waitForPrimary();
    await eventually(
      'some of it is written',
      async () => (await primary.command('killed', { count: 'slots' }))['n'] > 0,
    );
    await killed.kill();
    const served = await ended(
      ...['--insecure', '--listen', `unix:${join(cluster.directory, 'other.sock')}`, '--store', set.uri('killed')],
      ...['--agent-listen', `unix:${join(cluster.directory, 'others.sock')}`, '--metrics-listen', 'off'],
    );
    expect(served).toMatchObject({ code: 1, last: expect.stringContaining('holds an import that did not finish') });
    expect(await ended(...importing)).toMatchObject({ code: 0 });
    expect(await primary.command('killed', { count: 'slots' })).toMatchObject({ n: COUNT });
  });

  test('while a server serves it, MongoDB is not exported either; once it stopped, it is', async () => {
    const exporting = ['export', '--store', set.uri('leasehold'), '--output', join(cluster.directory, 'back.jsonl')];
    const { code, last } = await ended(...exporting);
    expect(code).toBe(1);
    expect(last).toMatch(/database leasehold is served by .*: stop all servers of it, and export again$/);
    expect(await cluster.server.stop()).toBe(0);
    expect(await ended(...exporting)).toMatchObject({ code: 0 });
  });

  test('a server on the store that was left refuses agents, and holds still', async () => {
    const from = host.agent.lines.length;
    await cluster.startServer(['--store', embedded()]);
    const refused = await host.agent.waitForLine('knows incarnation 2 of this store, which has 1', from);
    expect(refused.fields).toMatchObject({ level: 'warn' });
    const reserving = leasehold.reservations.reserve({ networkId: 'red', mac: '52:54:00:00:0c:09' });
    expect(await refusalOf(reserving)).toMatchObject({ reason: 'HOLDING_STILL' });
  });

  async function readOnce(options: { readonly resumeToken?: string }) {
    const end = new AbortController();
    for await (const event of leasehold.watch({ ...options, signal: end.signal })) return event;
    return undefined;
  }

  async function firstToken(): Promise<string> {
    const event = await readOnce({});
    if (!event || !('resumeToken' in event)) throw new Error('The watch began without a token');
    return event.resumeToken;
  }
});
