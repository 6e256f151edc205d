// What a host may still have of before an import: it was restored from a copy that knows nothing of it, or was moved.

import { formatIpv4 } from '@leasehold/proto/values';
import type { HostId, NetworkId } from '@leasehold/server/domain/ids';
import { atMostMs, mayAnswerForMs } from '@leasehold/server/domain/reuse';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CALL } from './commands.js';
import { Installation } from './installation.js';
import { exported, imported } from './moved-store.js';
import { PlayedAgent } from './played-agent.js';

const [MAC, OTHER] = ['52:54:00:00:00:01', '52:54:00:00:00:02'];
const RED = 'red' as NetworkId;
const H1 = 'h1' as HostId;
const ADDRESS = '10.0.0.3';
const HOUR_MS = 3_600_000;
const DELAY_MS = 60_000;
const LEASE_MS = atMostMs(3_600);
const AUTHORITY_S = 4 * 3_600;
const SILENCE_MS = mayAnswerForMs(AUTHORITY_S);
const TICKS_MS = 4_000;
// The longest that a step of a silence that is stored takes.
const STEP_MS = (AUTHORITY_S * 1_000) / 24 + 10_000;

let installation: Installation;

beforeEach(async () => {
  installation = await Installation.start({}, { authorityS: AUTHORITY_S });
  await installation.addHost('h2', ['red']);
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/29');
  await installation.addHost('h1', ['red']);
  await installation.advance(2_000);
  expect(installation.placements('red')).toEqual(['h2 serving']);
});
afterEach(() => installation.stop());

const release = (guestStopped: boolean) => installation.tryRelease('red-a', ADDRESS, { guestStopped });
const fence = () => installation.plane.useCases.hosts.fence(H1, 'pulled its plug', CALL);
const remove = () => installation.plane.useCases.hosts.delete(H1, '', CALL);
const slot = () => installation.disk.slotsInOrder(RED).find(({ address }) => formatIpv4(address) === ADDRESS);
const rests = () => slot()?.state === 'quarantined';

function blockedBy(): readonly string[] | undefined {
  const present = slot();
  return present && installation.plane.useCases.context.reuse()?.estimate(present).blockedBy;
}

async function expectRests(ms: number, toleranceMs = TICKS_MS): Promise<void> {
  await installation.advance(ms - TICKS_MS);
  expect(rests()).toBe(true);
  await installation.advance(TICKS_MS + toleranceMs);
  expect(rests()).toBe(false);
}

/** The server runs on what was exported. */
async function startOn(lines: readonly string[]): Promise<void> {
  installation.disk = await imported(lines);
  await installation.startServer();
  await installation.advance(10_000);
}

async function restart(): Promise<void> {
  await installation.killServer();
  await installation.startServer();
  await installation.advance(10_000);
}

async function move(): Promise<void> {
  await installation.killServer();
  await startOn(exported(installation.disk));
}

/** After the copy h1 gets the network and a reservation; then it is cut off, and all that is lost. The engine makes the reservation again. */
async function restore(copy: readonly string[]): Promise<void> {
  await installation.updateHost('h2', { maintenance: true });
  await installation.reserve('red-a', MAC, ADDRESS);
  await installation.advance(10_000);
  expect(installation.answers('red')).toEqual([`h1 ${MAC}=${ADDRESS}`]);
  installation.host('h1').wire.cut();
  await installation.killServer();
  await startOn(copy);
  await installation.reserve('red-a', MAC, ADDRESS);
  await installation.advance(2_000);
  expect(installation.answers('red')).toEqual([`h1 ${MAC}=${ADDRESS}`, `h2 ${MAC}=${ADDRESS}`]);
}

/** Nobody else has the address while h1 may answer with it, nor for a lease time after that. */
async function expectWaitsForH1(): Promise<void> {
  await installation.advance(3 * HOUR_MS);
  expect(installation.answers('red')).toContain(`h1 ${MAC}=${ADDRESS}`);
  expect(await installation.tryReserve('red-a', OTHER, ADDRESS)).toMatchObject({ ok: false });
  expect(blockedBy()).toEqual(['h1']);
}

describe('a host that got a network after the copy, and is cut off, is waited for', () => {
  test('when the copy has it in no network', async () => {
    await restore(exported(installation.disk));
    await release(false);
    await expectWaitsForH1();
    await expectRests(SILENCE_MS + LEASE_MS - 3 * HOUR_MS - 12_000);
  });

  test('when the copy has it fenced', async () => {
    installation.host('h1').wire.cut();
    await installation.advance(30_000);
    expect(await fence()).toMatchObject({ ok: true });
    const copy = exported(installation.disk);
    installation.host('h1').wire.heal();
    await installation.advance(10_000);
    await restore(copy);
    await release(false);
    await expectWaitsForH1();
  });

  test('when the copy has it silent for longer than S, and as a former server', async () => {
    await installation.updateHost('h2', { maintenance: true });
    await installation.advance(10_000);
    expect(installation.placements('red')).toEqual(['h1 serving']);
    installation.host('h1').wire.cut();
    await installation.updateHost('h2', { maintenance: false });
    await installation.advance(SILENCE_MS);
    const copy = exported(installation.disk);
    installation.host('h1').wire.heal();
    await installation.advance(10_000);
    await restore(copy);
    await release(false);
    await expectWaitsForH1();
  });

  test('when it said hello since, and may not have heard the answer, over a restart', async () => {
    await restore(exported(installation.disk));
    const hello = new PlayedAgent(installation);
    await hello.hello({ storeUid: 'memory', incarnation: 1n, highestEpoch: { holderEpoch: 1n, counter: 9n } });
    await hello.breaks();
    await restart();
    await release(false);
    await expectWaitsForH1();
  });

  test('when it was made after the copy, and said hello', async () => {
    await installation.host('h1').kill();
    await installation.advance(30_000);
    expect(await remove()).toMatchObject({ ok: true });
    const copy = exported(installation.disk);
    await installation.host('h1').start();
    await installation.advance(10_000);
    await restore(copy);
    expect(installation.disk.hosts.has(H1)).toBe(false);
    const hello = new PlayedAgent(installation);
    await hello.hello({ storeUid: 'memory', incarnation: 1n, highestEpoch: { holderEpoch: 1n, counter: 9n } });
    await hello.breaks();
    await release(false);
    await expectWaitsForH1();
  });

  test('until it returns', async () => {
    await restore(exported(installation.disk));
    await release(true);
    await installation.advance(HOUR_MS);
    expect(rests()).toBe(true);
    installation.host('h1').wire.heal();
    await installation.advance(10_000);
    expect(installation.answers('red')).toEqual([]);
    expect(rests()).toBe(false);
  });

  test('until it was silent for S, over holders', async () => {
    await restore(exported(installation.disk));
    await release(true);
    for (let holder = 0; holder < 3; holder++) {
      await installation.advance(HOUR_MS);
      expect(rests()).toBe(true);
      await restart();
    }
    await expectRests(SILENCE_MS - 3 * HOUR_MS - 42_000, 3 * STEP_MS);
  });

  test('until it is fenced, and not deleted before', async () => {
    await restore(exported(installation.disk));
    await release(true);
    await installation.advance(HOUR_MS);
    expect(await remove()).toMatchObject({
      ok: false,
      error: { kind: 'host-may-answer-anywhere', message: expect.stringMatching(/fence it first/) },
    });
    expect(await fence()).toMatchObject({ ok: true });
    expect(await remove()).toMatchObject({ ok: true });
    await installation.advance(TICKS_MS);
    expect(rests()).toBe(false);
  });
});

describe('a store that was moved', () => {
  test('gives an address on as soon as it would have otherwise, once its hosts are back', async () => {
    await installation.reserve('red-a', MAC, ADDRESS);
    await installation.advance(2_000);
    await move();
    await release(true);
    await installation.advance(2_000);
    expect(blockedBy()).toEqual([]);
    await expectRests(DELAY_MS - 2_000);
  });

  test('waits in a network for no host that was back, and never served it', async () => {
    await installation.reserve('red-a', MAC, ADDRESS);
    await move();
    await installation.advance(10_000);
    expect(installation.disk.hosts.get(H1)).toMatchObject({ metIncarnation: 2 });
    installation.host('h1').wire.cut();
    await restart();
    await release(true);
    await expectRests(DELAY_MS);
    expect(await remove()).toMatchObject({ ok: true });
  });

  test('waits for one that never came back', async () => {
    await installation.reserve('red-a', MAC, ADDRESS);
    installation.host('h1').wire.cut();
    await move();
    await release(true);
    await installation.advance(2 * DELAY_MS);
    expect(blockedBy()).toEqual(['h1']);
    await expectRests(SILENCE_MS - 2 * DELAY_MS - 10_000);
  });
});

test('in the first incarnation nothing is written of what a host met', async () => {
  await installation.advance(30_000);
  expect(installation.disk.hosts.get(H1)).not.toHaveProperty('metIncarnation');
});
