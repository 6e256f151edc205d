// A server whose disk fails, or is full: it acknowledges nothing any more, says so in one line and ends. Its successor has
// what was acknowledged.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Leasehold, LeaseholdError, type Reservation } from '@leasehold/sdk';
import { describe, expect, test } from 'vitest';
import { runOrThrow } from '../support/run.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { TestServer } from '../support/test-server.js';
import { hasTool } from '../support/tools.js';

const FAILED = 'the store failed, exiting';
const CALLERS = 8;

describe.skipIf(!(await hasTool('strace')))('a server under strace', () => {
  test('whose flush fails acknowledges nothing after it and ends, and nothing acknowledged is lost', async () => {
    using temporary = temporaryDirectory('disk-');
    await using server = new TestServer(temporary.path, '', `embedded:${join(temporary.path, 'data')}`);
    const inject = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=60+'];
    // One thread writes, so that its flushes can be counted.
    const env = { UV_THREADPOOL_SIZE: '1' };
    await server.start([], { under: ['strace', '-f', '-o', join(temporary.path, 'trace'), ...inject], env });
    const acknowledged = await reserveUntilItEnds(server);
    expect(await server.process.exited).toBe(1);
    expect(failures(server)).toMatchObject([{ level: 'error', error: expect.stringMatching(/input\/output error/i) }]);
    await server.start();
    await expectThere(server.client(), acknowledged);
  });
});

describe('a server on a small disk', () => {
  test('that is full ends when it cannot write, and has everything that it acknowledged', async () => {
    using temporary = temporaryDirectory('disk-');
    const disk = join(temporary.path, 'disk');
    mkdirSync(disk);
    await runOrThrow('mount', ['-t', 'tmpfs', '-o', 'size=640k', 'tmpfs', disk]);
    try {
      await using server = new TestServer(temporary.path, '', `embedded:${join(disk, 'data')}`);
      await server.start();
      const acknowledged = await reserveUntilItEnds(server);
      expect(await server.process.exited).toBe(1);
      // LMDB calls a write that was cut short, because only a part of it had room, an error of input and output.
      const why = expect.stringMatching(/no space left|input\/output error/i);
      expect(failures(server)).toMatchObject([{ level: 'error', error: why }]);
      // What is there can be read: a start needs no more room than the store has.
      await server.start();
      await expectThere(server.client(), acknowledged);
      await server.kill();
      await runOrThrow('mount', ['-o', 'remount,size=16m', disk]);
      await server.start();
      const client = server.client();
      await expectThere(client, acknowledged);
      expect(await client.reservations.reserve({ subnetId: 'a', mac: macOf(60_000) })).toMatchObject({ created: true });
    } finally {
      await runOrThrow('umount', ['-l', disk]);
    }
  });
});

/** Reserves for MACs that nobody had before, by several callers at once, until all are refused; what was promised. */
async function reserveUntilItEnds(server: TestServer): Promise<readonly Reservation[]> {
  const client = server.client({ waitForServer: false });
  await client.networks.create({ networkId: 'red' });
  await client.subnets.create({ subnetId: 'a', networkId: 'red', cidr: '10.0.0.0/16' });
  const promised: Reservation[] = [];
  let macs = 0;
  const call = async () => {
    for (;;) {
      try {
        const mac = macOf(macs++);
        promised.push((await client.reservations.reserve({ subnetId: 'a', mac, owner: 'x'.repeat(64) })).reservation);
      } catch (error) {
        return error;
      }
    }
  };
  const ends = await Promise.all(Array.from({ length: CALLERS }, call));
  for (const end of ends) expect(end).toBeInstanceOf(LeaseholdError);
  expect(ends.map((end) => (end as LeaseholdError).code)).toEqual(Array(CALLERS).fill('UNAVAILABLE'));
  expect(promised.length).toBeGreaterThan(CALLERS);
  return promised;
}

/** Everything promised is there, and beside it at most what was asked for last. */
async function expectThere(client: Leasehold, promised: readonly Reservation[]): Promise<void> {
  const found = await client.reservations.list({ networkId: 'red' }).toArray();
  const there = new Map(found.map(({ reservationId, address, mac }) => [reservationId, { address, mac }]));
  for (const { reservationId, address, mac } of promised) expect(there.get(reservationId)).toEqual({ address, mac });
  expect(found.length).toBeLessThanOrEqual(promised.length + CALLERS);
  expect(new Set(found.map(({ address }) => address)).size).toBe(found.length);
}

function failures(server: TestServer) {
  return server.process.lines.filter(({ text }) => text.includes(FAILED)).map(({ fields }) => fields);
}

function macOf(n: number): string {
  return `52:54:00:0d:${[n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}
