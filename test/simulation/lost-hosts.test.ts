// Many hosts lost at once, and hosts that come and go: what is replaced, at which pace, and what stays where it is.

import { afterEach, describe, expect, test } from 'vitest';
import { Installation } from './installation.js';

let installation: Installation;

afterEach(async () => {
  await installation.stop();
});

const ids = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}${n}`);

/** Hosts, in racks of equal size, with all networks. */
async function start(
  hosts: number,
  racks: number,
  singles: readonly string[],
  pairs: readonly string[],
): Promise<void> {
  installation = await Installation.start();
  const networks = [...singles, ...pairs];
  for (const [n, hostId] of ids('h', hosts).entries())
    await installation.addHost(hostId, networks, `rack-${n % racks}`);
  for (const [n, networkId] of networks.entries()) {
    await installation.createNetwork(networkId, { dhcpServerCount: singles.includes(networkId) ? 1 : 2 });
    await installation.createSubnet(networkId, `${networkId}-a`, `10.${n}.0.0/24`);
  }
  await installation.advance(2_000);
}

/** The placements as stored: network and host. */
const placed = () =>
  [...installation.disk.networks.values()].flatMap(({ networkId, placements }) =>
    placements.map(({ hostId }) => ({ networkId: networkId as string, hostId: hostId as string })),
  );

const brakes = () => installation.plane.useCases.status.get().brakes.map(({ kind }) => kind);

/** The networks none of whose servers is among the living. */
function unserved(dead: ReadonlySet<string>): readonly string[] {
  const served = new Set(placed().flatMap(({ networkId, hostId }) => (dead.has(hostId) ? [] : [networkId])));
  return [...installation.disk.networks.keys()].filter((networkId) => !served.has(networkId));
}

function cut(hostIds: Iterable<string>): void {
  for (const hostId of hostIds) installation.host(hostId).wire.cut();
}

describe('of 100 hosts', () => {
  test('20 are lost at once: no network stays without a server, the rest is replaced host by host, one in a minute', async () => {
    await start(100, 5, ids('single', 20), ids('pair', 40));
    const rack = new Set(ids('h', 100).filter((_, n) => n % 5 === 0));
    const onRack = () => new Set(placed().flatMap(({ hostId }) => (rack.has(hostId) ? [hostId] : [])));
    expect(onRack().size).toBeGreaterThanOrEqual(15);
    cut(rack);
    await installation.advance(5_000);
    expect(unserved(rack)).toEqual([]);
    expect(brakes()).toEqual(['BUDGET']);
    // One went at once.
    let left = onRack().size;
    const slow = left;
    expect(left).toBeGreaterThanOrEqual(8);
    for (let minute = 1; minute <= 5; minute++) {
      await installation.advance(60_000);
      const now = onRack().size;
      expect(left - now).toBeLessThanOrEqual(1);
      expect(slow - now).toBeGreaterThanOrEqual(minute - 1);
      left = now;
    }
    expect(brakes()).toEqual(['BUDGET']);
    expect(placed()).toHaveLength(20 + 2 * 40);
  });

  test('half are lost at once: nothing moves, until a person takes hosts out', async () => {
    await start(100, 2, ids('single', 10), ids('pair', 10));
    const half = ids('h', 100).filter((_, n) => n % 2 === 0);
    const before = placed();
    cut(half);
    await installation.advance(120_000);
    expect(placed()).toEqual(before);
    expect(brakes()).toEqual(['MASS_SILENCE']);
    expect(unserved(new Set(half)).length).toBeGreaterThan(0);
    // They are fewer than half then.
    await installation.updateHost(half[0] ?? '', { managed: false });
    await installation.advance(17_000);
    expect(unserved(new Set(half))).toEqual([]);
  });

  test('half are lost at once, and return: nothing has moved', async () => {
    await start(100, 2, ids('single', 10), []);
    const half = ids('h', 100).filter((_, n) => n % 2 === 0);
    const before = placed();
    cut(half);
    await installation.advance(60_000);
    for (const hostId of half) installation.host(hostId).wire.heal();
    await installation.advance(30_000);
    expect(placed()).toEqual(before);
    expect(brakes()).toEqual([]);
  });
});

describe('of few hosts', () => {
  test.each([
    [2, 1],
    [4, 2],
  ])('of %i, %i are lost: their networks get the others', async (count, lost) => {
    await start(count, 1, ids('single', 4), []);
    const dead = new Set(ids('h', lost));
    cut(dead);
    await installation.advance(5_000);
    expect(unserved(dead)).toEqual([]);
  });

  test('of 6, 3 are lost: nothing moves', async () => {
    await start(6, 1, ids('single', 6), []);
    const before = placed();
    cut(ids('h', 3));
    await installation.advance(60_000);
    expect(placed()).toEqual(before);
  });
});

describe('hosts that come and go every few seconds', () => {
  /** How often each network was moved, by networks that were. */
  function movesSince(position: number): ReadonlyMap<string, number> {
    const moves = new Map<string, number>();
    for (const change of installation.disk.log.slice(position)) {
      if (change.kind !== 'network' || change.network.placementCounter === change.before?.placementCounter) continue;
      moves.set(change.network.networkId, (moves.get(change.network.networkId) ?? 0) + 1);
    }
    return moves;
  }

  const SINGLES = ids('single', 6);
  const placedOn = (hostIds: readonly string[]) =>
    placed().filter(({ networkId, hostId }) => SINGLES.includes(networkId) && hostIds.includes(hostId));

  test.each([
    ['its stream breaks', 1_500, 2_500],
    ['it falls silent', 2_500, 2_500],
    ['it is gone for longer', 4_000, 4_000],
  ])('lose their networks once, and get none back: %s', async (_, goneMs, hereMs) => {
    await start(3, 1, SINGLES, ids('pair', 1));
    const { length } = installation.disk.log;
    expect(placedOn(['h0'])).not.toEqual([]);
    for (let n = 0; n < 20; n++) {
      installation.host('h0').wire.cut();
      await installation.advance(goneMs);
      installation.host('h0').wire.heal();
      await installation.advance(hereMs);
    }
    expect([...movesSince(length).values()].filter((count) => count > 1)).toEqual([]);
    expect(placedOn(['h0'])).toEqual([]);
  });

  test('hand no network to and fro between them, while another host is there all the time', async () => {
    await start(3, 1, SINGLES, []);
    const { length } = installation.disk.log;
    for (let n = 0; n < 20; n++) {
      for (const hostId of ['h0', 'h1']) {
        installation.host(hostId).wire.cut();
        await installation.advance(3_500);
        installation.host(hostId).wire.heal();
        await installation.advance(3_500);
      }
    }
    expect([...movesSince(length).values()].filter((count) => count > 2)).toEqual([]);
    expect(placedOn(['h2'])).toHaveLength(SINGLES.length);
  });
});
