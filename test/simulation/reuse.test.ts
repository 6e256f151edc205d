// When a released address goes to another MAC (protocol.md §4): what hosts acknowledged, how long they were silent, what
// the engine vouched for, over changes of the holder.

import { formatIpv4 } from '@leasehold/proto/values';
import type { HostId, NetworkId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CALL } from './commands.js';
import { accepted, Installation } from './installation.js';

const [MAC, OTHER] = ['52:54:00:00:00:01', '52:54:00:00:00:02'];
const RED = 'red' as NetworkId;
const ADDRESS = '10.0.0.3';
const DELAY_MS = 60_000;
const LEASE_MS = Math.ceil((3_600_000 * 1.01) / 0.99);
// S of an hour, as long as another clock can make it, and the slack.
const AUTHORITY_S = 3_600;
const SILENCE_MS = Math.ceil((AUTHORITY_S * 1_000 * 1.01) / 0.99) + 10_000;
/** A run of what frees comes every second; a host is heard every second. */
const TICKS_MS = 4_000;

let installation: Installation;

beforeEach(async () => {
  installation = await Installation.start({}, { authorityS: AUTHORITY_S });
  await installation.addHost('h1', ['red']);
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/29');
  await installation.reserve('red-a', MAC, ADDRESS);
  await installation.advance(2_000);
  expect(installation.answers('red')).toEqual([`h1 ${MAC}=${ADDRESS}`]);
});
afterEach(() => installation.stop());

function release(guestStopped: boolean) {
  return installation.tryRelease('red-a', ADDRESS, { guestStopped });
}

function slot(): Slot | undefined {
  return [...(installation.disk.slots.get(RED)?.values() ?? [])].find((each) => formatIpv4(each.address) === ADDRESS);
}

function rests(): boolean {
  return slot()?.state === 'quarantined';
}

/** Who holds it up, by what a user is told. */
function blockedBy(): readonly string[] | undefined {
  const present = slot();
  return present && installation.plane.useCases.context.reuse()?.estimate(present).blockedBy;
}

/** In how many milliseconds a user is told that it is free. */
function estimateMs(): number {
  const present = slot();
  const estimate = present && installation.plane.useCases.context.reuse()?.estimate(present);
  return (estimate?.atMs ?? Number.NaN) - installation.clock.now();
}

/** It rests for so long from now on, and not longer. */
async function expectRests(ms: number): Promise<void> {
  await installation.advance(ms - TICKS_MS);
  expect(rests()).toBe(true);
  await installation.advance(2 * TICKS_MS);
  expect(rests()).toBe(false);
}

async function fence(hostId: string) {
  return installation.plane.useCases.hosts.fence(hostId as HostId, 'pulled its plug', CALL);
}

test('without a vouch it rests for the delay and one lease time, though its host acknowledged at once', async () => {
  await release(false);
  await installation.advance(2_000);
  expect(blockedBy()).toEqual([]);
  expect(Math.abs(estimateMs() - (DELAY_MS + LEASE_MS - 2_000))).toBeLessThan(TICKS_MS);
  await expectRests(DELAY_MS + LEASE_MS - 2_000);
});

test('with a vouch it rests for the delay alone', async () => {
  await release(true);
  await installation.advance(1_000);
  expect(Math.abs(estimateMs() - (DELAY_MS - 1_000))).toBeLessThan(TICKS_MS);
  await expectRests(DELAY_MS - 1_000);
});

test('a vouch that comes later shortens the rest', async () => {
  await release(false);
  await installation.advance(2 * DELAY_MS);
  expect(rests()).toBe(true);
  await release(true);
  await installation.advance(TICKS_MS);
  expect(rests()).toBe(false);
});

test('a host that is cut off holds it up while it may answer, and a lease time more without a vouch', async () => {
  const host = installation.host('h1');
  host.wire.cut();
  await installation.advance(1_000);
  await release(false);
  await installation.advance(60_000);
  expect(blockedBy()).toEqual(['h1']);
  // It was heard a moment before it was cut off.
  const cutMs = 61_000;
  await installation.advance(AUTHORITY_S * 1_000 - cutMs - 5_000);
  expect(installation.answers('red')).toEqual([`h1 ${MAC}=${ADDRESS}`]);
  await installation.advance(10_000);
  expect(installation.answers('red')).toEqual([]);
  const sinceCutMs = AUTHORITY_S * 1_000 + 5_000;
  expect(Math.abs(estimateMs() - (SILENCE_MS + LEASE_MS - sinceCutMs))).toBeLessThan(TICKS_MS);
  await expectRests(SILENCE_MS + LEASE_MS - sinceCutMs);
});

test('a host that is cut off holds it up with a vouch, too, while it may answer', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(1_000);
  await release(true);
  await expectRests(SILENCE_MS - 1_000);
});

test('a host that returns acknowledges, and no longer holds it up', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(1_000);
  await release(true);
  await installation.advance(10 * 60_000);
  expect(rests()).toBe(true);
  installation.host('h1').wire.heal();
  await installation.advance(10_000);
  expect(rests()).toBe(false);
});

test('a host that lost its interface does not acknowledge, and holds it up until it is told to stop', async () => {
  installation.host('h1').links.clear();
  await installation.advance(1_000);
  await release(true);
  await installation.advance(2 * DELAY_MS);
  expect(rests()).toBe(true);
  await installation.addHost('h2', ['red']);
  await installation.advance(30_000);
  expect(installation.placements('red')).toEqual(['h2 serving']);
  expect(rests()).toBe(false);
});

test('a former server that was stopped before the reservation was made is not waited for', async () => {
  await installation.addHost('h2', ['red']);
  installation.host('h1').wire.cut();
  await installation.advance(15_000);
  expect(installation.placements('red')).toEqual(['h1 former', 'h2 serving']);
  const later = await installation.reserve('red-a', OTHER);
  await installation.tryRelease('red-a', formatIpv4(later.address), { guestStopped: true });
  await release(true);
  await installation.advance(DELAY_MS + TICKS_MS);
  expect(installation.disk.slots.get(RED)?.get(later.address)).toBeUndefined();
  expect(rests()).toBe(true);
  expect(blockedBy()).toEqual(['h1']);
});

test('a former server that cannot answer any more leaves', async () => {
  await installation.addHost('h2', ['red']);
  installation.host('h1').wire.cut();
  await installation.advance(SILENCE_MS - TICKS_MS);
  expect(installation.placements('red')).toEqual(['h1 former', 'h2 serving']);
  await installation.advance(3 * TICKS_MS);
  expect(installation.placements('red')).toEqual(['h2 serving']);
});

test('what was released before a former server acknowledged its end waits a lease time from then on', async () => {
  await installation.addHost('h2', ['red']);
  installation.host('h1').wire.cut();
  await installation.advance(15_000);
  await release(false);
  await installation.advance(LEASE_MS / 2);
  installation.host('h1').wire.heal();
  await installation.advance(10_000);
  expect(installation.placements('red')).toEqual(['h2 serving']);
  await expectRests(LEASE_MS - 10_000);
});

test('a MAC that has another address by now is no vouch for its first one', async () => {
  await release(true);
  await installation.reserve('red-a', MAC, '10.0.0.4');
  await expectRests(DELAY_MS + LEASE_MS);
});

test('nor is one that had another address meanwhile, of which nothing is left', async () => {
  await installation.createSubnet('red', 'red-b', '10.2.0.0/29', { leaseTimeS: 600 });
  await installation.addHost('h2', ['red']);
  installation.host('h1').wire.cut();
  await installation.advance(15_000);
  await release(true);
  const other = await installation.reserve('red-b', MAC);
  await installation.tryRelease('red-b', formatIpv4(other.address), { guestStopped: true });
  await installation.advance(15 * 60_000);
  expect(installation.disk.slots.get(RED)?.get(other.address)).toBeUndefined();
  expect(blockedBy()).toEqual(['h1']);
  installation.host('h1').wire.heal();
  await installation.advance(1_000);
  await expectRests(LEASE_MS);
});

test('a vouch for the last tenure does not speak for an earlier one of its chain', async () => {
  await release(false);
  await installation.reserve('red-a', MAC, ADDRESS);
  await release(true);
  await expectRests(DELAY_MS + LEASE_MS);
});

test('a chain of vouched tenures is vouched for', async () => {
  await release(true);
  await installation.advance(1_000);
  await installation.reserve('red-a', MAC, ADDRESS);
  await installation.advance(1_000);
  await release(true);
  await expectRests(DELAY_MS);
});

test('a MAC whose earlier tenure is over long ago is vouched for all the same', async () => {
  await release(true);
  await installation.advance(DELAY_MS + TICKS_MS);
  expect(rests()).toBe(false);
  await installation.reserve('red-a', MAC, ADDRESS);
  await installation.advance(1_000);
  await release(true);
  await expectRests(DELAY_MS);
});

test('a new holder waits for a lease time anew, and for what it did not hear acknowledged', async () => {
  await release(false);
  await installation.advance(DELAY_MS + LEASE_MS - 10_000);
  await installation.killServer();
  await installation.startServer();
  await expectRests(DELAY_MS + LEASE_MS);
});

test('a new holder believes a vouch only of a MAC that had nothing else', async () => {
  await installation.advance(1_000);
  await release(true);
  await installation.killServer();
  await installation.startServer();
  await expectRests(DELAY_MS);
  await installation.reserve('red-a', MAC, ADDRESS);
  await release(true);
  await installation.killServer();
  await installation.startServer();
  // The server cannot know when its earlier tenure was over.
  await expectRests(DELAY_MS + LEASE_MS);
});

test('a host that never returns holds an address up no longer than S, whatever becomes of the holders', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(1_000);
  await release(true);
  const start = installation.clock.now();
  for (let holder = 0; holder < 4; holder++) {
    await installation.advance(20 * 60_000);
    expect(rests()).toBe(true);
    expect(installation.disk.hosts.get('h1' as HostId)?.silentForS).toBeGreaterThan(holder * 15 * 60);
    await installation.killServer();
    await installation.startServer();
    if (installation.clock.now() - start + 20 * 60_000 > SILENCE_MS) break;
  }
  // Of each term less than a step of S/24 is lost.
  await installation.advance(15 * 60_000);
  expect(rests()).toBe(false);
});

test('an address that cannot be freed keeps nothing else from what is to be done', async () => {
  const { slots } = installation.plane.useCases.context.store;
  const free = slots.free.bind(slots);
  slots.free = (ended, revision) =>
    formatIpv4(ended.address) === ADDRESS ? Promise.reject(new Error('Its document is broken')) : free(ended, revision);
  await release(true);
  await installation.advance(120_000);
  expect(rests()).toBe(true);
  installation.host('h1').wire.cut();
  await installation.advance(20 * 60_000);
  expect(installation.disk.hosts.get('h1' as HostId)?.silentForS).toBeGreaterThan(15 * 60);
});

test('a host that was heard once more begins to be silent anew', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(AUTHORITY_S * 900);
  installation.host('h1').wire.heal();
  await installation.advance(10_000);
  expect(installation.disk.hosts.get('h1' as HostId)?.silentForS).toBeUndefined();
  installation.host('h1').wire.cut();
  await installation.advance(1_000);
  await release(true);
  await installation.killServer();
  await installation.startServer();
  await expectRests(SILENCE_MS);
});

test('a fenced host is not waited for, and one that is connected cannot be fenced', async () => {
  expect(await fence('h1')).toMatchObject({ ok: false, error: { kind: 'host-connected' } });
  installation.host('h1').wire.cut();
  await installation.advance(30_000);
  await release(true);
  await installation.advance(2 * DELAY_MS);
  expect(blockedBy()).toEqual(['h1']);
  expect(accepted(await fence('h1')).fence).toMatchObject({ reason: 'pulled its plug', by: CALL.caller });
  await installation.advance(TICKS_MS);
  expect(rests()).toBe(false);
});

test('from a fence on a lease time is waited without a vouch', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(30_000);
  await release(false);
  await installation.advance(2 * DELAY_MS);
  accepted(await fence('h1'));
  await expectRests(LEASE_MS);
});

test('a fence is over when its host returns', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(30_000);
  accepted(await fence('h1'));
  installation.host('h1').wire.heal();
  await installation.advance(10_000);
  expect(installation.disk.hosts.get('h1' as HostId)?.fence).toBeUndefined();
  installation.host('h1').wire.cut();
  await installation.advance(1_000);
  await release(true);
  await expectRests(SILENCE_MS - 1_000);
});

test('a fence outlives its holder', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(30_000);
  accepted(await fence('h1'));
  await installation.killServer();
  await installation.startServer();
  await release(true);
  await expectRests(DELAY_MS);
});

test('a host that was deleted holds up as long as if it were there, and over a change of the holder', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(30_000);
  await release(true);
  const half = SILENCE_MS / 2;
  await installation.advance(half - 30_000);
  await installation.deleteHost('h1');
  await installation.advance(1_000);
  expect(installation.disk.networks.get(RED)?.formerServers).toMatchObject([{ hostId: 'h1' }]);
  expect(blockedBy()).toEqual(['h1']);
  await installation.killServer();
  await installation.startServer();
  await expectRests(half);
});

test('a host that was deleted and fenced before does not hold up', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(30_000);
  accepted(await fence('h1'));
  await installation.deleteHost('h1');
  await release(true);
  await expectRests(DELAY_MS);
});

test('another machine under the name of a deleted host does not speak for it', async () => {
  installation.host('h1').wire.cut();
  await installation.advance(30_000);
  await release(true);
  await installation.deleteHost('h1');
  await installation.advance(1_000);
  await installation.host('h1').kill();
  const cut = installation.host('h1');
  await installation.addHost('h1', ['red']);
  await installation.advance(2 * DELAY_MS);
  expect(rests()).toBe(true);
  expect(cut).not.toBe(installation.host('h1'));
});

test('a shorter lease time counts once every host told it and the longest lease given before has run out', async () => {
  const ceilingS = () => installation.disk.networks.get(RED)?.subnets[0]?.leaseTimeCeilingS;
  installation.host('h1').wire.cut();
  await installation.advance(1_000);
  await installation.tryUpdateSubnet('red-a', { leaseTimeS: 600 });
  await installation.advance(30 * 60_000);
  installation.host('h1').wire.heal();
  await installation.advance(LEASE_MS - 60_000);
  expect(ceilingS()).toBe(3_600);
  await installation.advance(90_000);
  expect(ceilingS()).toBe(600);
  await installation.tryUpdateSubnet('red-a', { leaseTimeS: 900 });
  expect(ceilingS()).toBe(900);
});

test('a lower authority counts once nobody can have the higher one any more', async () => {
  await installation.killServer();
  installation.disk.authorityS = 600;
  installation.disk.authorityCeilingS = AUTHORITY_S;
  await installation.startServer({ authorityS: 600 });
  await installation.advance(SILENCE_MS - 60_000);
  expect(installation.disk.authorityCeilingS).toBe(AUTHORITY_S);
  await installation.advance(90_000);
  expect(installation.disk.authorityCeilingS).toBe(600);
  installation.host('h1').wire.cut();
  await installation.advance(1_000);
  await release(true);
  await expectRests(Math.ceil((600_000 * 1.01) / 0.99) + 10_000 - 1_000);
});

test('an address is freed only in a network that this holder claimed, and not in one that a later one did', async () => {
  // No host serves it, and nothing else is written of it.
  await installation.createNetwork('blue');
  await installation.createSubnet('blue', 'blue-a', '10.1.0.0/29');
  const blue = 'blue' as NetworkId;
  const { address } = await installation.reserve('blue-a', MAC);
  await installation.tryRelease('blue-a', formatIpv4(address), { guestStopped: true });
  await installation.advance(DELAY_MS / 2);
  const { networks } = installation.plane.useCases.context.store;
  const network = await networks.get(blue);
  if (!network) throw new Error('There is no such network');
  expect(network.holderEpoch).toBe(1);
  await networks.put({ ...network, holderEpoch: 7 });
  await installation.advance(DELAY_MS);
  expect(installation.disk.slots.get(blue)?.size).toBe(1);
  const claimed = await networks.get(blue);
  if (claimed) await networks.put({ ...claimed, holderEpoch: 0 });
  await installation.advance(TICKS_MS);
  expect(installation.disk.slots.get(blue)?.size ?? 0).toBe(0);
  expect(installation.disk.networks.get(blue)?.holderEpoch).toBe(1);
});
