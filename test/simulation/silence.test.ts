// How long a host is known to be silent, and fenced, when the holder was not sure of its lead for a while, or its watch is
// behind.

import { formatIpv4 } from '@leasehold/proto/values';
import type { HostId, NetworkId } from '@leasehold/server/domain/ids';
import { mayAnswerForMs } from '@leasehold/server/domain/reuse';
import { StoreUnavailableError } from '@leasehold/server/ports/store';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CALL } from './commands.js';
import { accepted } from './installation.js';
import { PlayedAgent } from './played-agent.js';
import { type GroupServer, release, reserve, ServerGroup } from './server-group.js';

const RED = 'red' as NetworkId;
const H1 = 'h1' as HostId;
const AUTHORITY_S = 3_600;
const SILENCE_MS = mayAnswerForMs(AUTHORITY_S);
const MINUTE_MS = 60_000;

let group: ServerGroup;
let a: GroupServer;
let address: string;

beforeEach(async () => {
  group = new ServerGroup({ writeDelayMs: 1, watchLagMs: 20 });
  group.disk.authorityS = AUTHORITY_S;
  group.disk.authorityCeilingS = AUTHORITY_S;
  a = await group.start();
  await group.createSubnet(a, 'red', '10.0.0.0/26');
  const agent = played();
  await agent.hello();
  await group.clock.advance(2_000);
  await agent.acknowledge();
  const reserved = accepted(await group.during(reserve(a, 'red', 1)));
  address = formatIpv4(reserved.tenure.address);
  await group.clock.advance(1_000);
  await agent.breaks();
});
afterEach(() => group.stop());

function played(): PlayedAgent {
  return new PlayedAgent({ plane: a.plane, advance: (ms) => group.clock.advance(ms) }, 'h1');
}

/** Its guest is vouched for. */
async function released(): Promise<void> {
  accepted(await group.during(release(a, 'red', address, { guestStopped: true })));
}

const rests = () => group.disk.slots.get(RED)?.size === 1;

/** The store is away for so long that the server is not sure any more that it leads. */
async function notSure(): Promise<void> {
  const { holder } = a.store;
  if (holder.kind === 'exclusive') throw new Error('Its servers elect a holder');
  const away = () => Promise.reject(new StoreUnavailableError('away'));
  const calls = [vi.spyOn(holder, 'renew').mockImplementation(away), vi.spyOn(holder, 'get').mockImplementation(away)];
  await group.clock.advance(5_000);
  expect(group.acting()).toEqual([]);
  for (const call of calls) call.mockRestore();
  await group.clock.advance(2_000);
  expect(a.plane.lease.epoch).toBe(1);
}

/** How long it rests while the holder is not sure of its lead every ten minutes. */
async function restedMs(fromMs: number): Promise<number> {
  while (rests() && group.clock.now() - fromMs < 2 * SILENCE_MS) {
    await group.clock.advance(10 * MINUTE_MS);
    await notSure();
  }
  return group.clock.now() - fromMs;
}

test('the wait for a dead host ends, however often its holder is not sure for a while that it leads', async () => {
  await released();
  const waitedMs = await restedMs(group.clock.now());
  expect(waitedMs).toBeGreaterThan(SILENCE_MS);
  // Of each time less than a step of S/24 is lost.
  expect(waitedMs).toBeLessThan(SILENCE_MS * 1.4);
});

test('of a host that was deleted, too', async () => {
  await released();
  const fromMs = group.clock.now();
  await group.clock.advance(MINUTE_MS);
  accepted(await group.during(a.plane.useCases.hosts.delete(H1, '', CALL)));
  const waitedMs = await restedMs(fromMs);
  expect(waitedMs).toBeGreaterThan(SILENCE_MS);
  expect(waitedMs).toBeLessThan(SILENCE_MS * 1.4);
});

test('what was stored before a hello does not count when the holder is sure again before its watch shows the hello', async () => {
  await released();
  await group.clock.advance(50 * MINUTE_MS);
  expect(group.disk.hosts.get(H1)?.silentForS).toBeGreaterThan(2_700);
  group.watchBehindMs = 2 * MINUTE_MS;
  const agent = played();
  await agent.hello();
  await group.clock.advance(1_000);
  await agent.heartbeat(1n, []);
  await group.clock.advance(1_000);
  expect(agent.heartbeatAcks).toHaveLength(1);
  await agent.breaks();
  expect(group.disk.hosts.get(H1)?.silentForS).toBeUndefined();
  expect(a.plane.useCases.context.view.hosts.get(H1)?.silentForS).toBeGreaterThan(2_700);
  await notSure();
  group.watchBehindMs = 0;
  await group.clock.advance(SILENCE_MS - MINUTE_MS);
  expect(rests()).toBe(true);
  await group.clock.advance(5 * MINUTE_MS);
  expect(rests()).toBe(false);
});

test.each([200, 700, 1_200, 1_700, 2_200, 2_700])(
  'a fence that a hello ended does not count, though the watch, 3 s behind, shows it again: %i ms after the release',
  async (afterMs) => {
    await group.clock.advance(30_000);
    accepted(await group.during(a.plane.useCases.hosts.fence(H1, 'dead', CALL)));
    await group.clock.advance(10_000);
    group.watchBehindMs = 3_000;
    await released();
    await group.clock.advance(afterMs);
    const agent = played();
    await agent.hello();
    await group.clock.advance(100);
    await agent.heartbeat(1n, []);
    await group.clock.advance(300);
    expect(agent.heartbeatAcks).toHaveLength(1);
    expect(group.disk.hosts.get(H1)?.fence).toBeUndefined();
    await agent.breaks();
    await group.clock.advance(5 * MINUTE_MS);
    expect(rests()).toBe(true);
    await group.clock.advance(SILENCE_MS);
    expect(rests()).toBe(false);
  },
);

test('a fence of a host that was heard before counts', async () => {
  await group.clock.advance(30_000);
  accepted(await group.during(a.plane.useCases.hosts.fence(H1, 'dead', CALL)));
  const agent = played();
  await agent.hello();
  await group.clock.advance(1_000);
  await agent.breaks();
  await group.clock.advance(30_000);
  accepted(await group.during(a.plane.useCases.hosts.fence(H1, 'dead now', CALL)));
  await released();
  await group.clock.advance(2 * MINUTE_MS);
  expect(rests()).toBe(false);
});
