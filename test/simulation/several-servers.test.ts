// Several servers of one store, none of which sees at once what another one wrote.

import { delay } from '@leasehold/program/clock';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { Result } from '@leasehold/server/domain/errors';
import type { HostId, NetworkId, SubnetId } from '@leasehold/server/domain/ids';
import { OutcomeUnknownError, StoreUnavailableError } from '@leasehold/server/ports/store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CALL } from './commands.js';
import { HeldWatch } from './held-watch.js';
import { PlayedAgent } from './played-agent.js';
import { type GroupServer, macOf, release, reserve, ServerGroup } from './server-group.js';

const REQUEST = { caller: 'test', rpc: 'ReserveAddress', id: 'start-vm-1', contentHash: 'x' } as const;

let group: ServerGroup;
let a: GroupServer;
let b: GroupServer;

beforeEach(async () => {
  group = new ServerGroup({ watchLagMs: 200 });
  a = await group.start();
  b = await group.start();
  await group.createSubnet(a, 'red', '10.0.0.0/26');
});

afterEach(async () => {
  await group.stop();
});

function accepted<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.error.kind}: ${result.error.message}`);
  return result.value;
}

const kindOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.error.kind);

describe('reservations', () => {
  test('as many requests as addresses on both at once all succeed, none twice, and the next is refused by either', async () => {
    await group.clock.advance(1_000);
    const capacity = 62;
    const calls = Array.from({ length: capacity }, (_, n) => reserve(n % 2 ? a : b, 'red', n));
    const results = await group.during(Promise.all(calls));
    const addresses = results.map((result) => formatIpv4(accepted(result).tenure.address));
    expect(new Set(addresses).size).toBe(capacity);
    for (const server of [a, b]) {
      expect(kindOf(await group.during(reserve(server, 'red', 1_000)))).toBe('subnet-exhausted');
    }
  });

  test('one MAC on both at once gets one address, and one request one reservation', async () => {
    const both = await group.during(Promise.all([reserve(a, 'red', 1), reserve(b, 'red', 1)]));
    const [first, second] = both.map((result) => accepted(result));
    expect(second?.tenure.reservationId).toBe(first?.tenure.reservationId);
    expect(both.filter((result) => accepted(result).created)).toHaveLength(1);

    const requests = [reserve(a, 'red', 2, { request: REQUEST }), reserve(b, 'red', 2, { request: REQUEST })];
    const same = (await group.during(Promise.all(requests))).map((result) => accepted(result).tenure.reservationId);
    expect(new Set(same).size).toBe(1);
  });

  test('a request is known to the other server at once, and after its reservation ended', async () => {
    const made = accepted(await group.during(reserve(a, 'red', 1, { request: REQUEST })));
    const again = accepted(await group.during(reserve(b, 'red', 1, { request: REQUEST })));
    expect(again).toMatchObject({ created: false, tenure: { reservationId: made.tenure.reservationId } });
    accepted(await group.during(release(b, 'red', formatIpv4(made.tenure.address), { guestStopped: true })));
    const ended = accepted(await group.during(reserve(a, 'red', 1, { request: REQUEST })));
    expect(ended).toMatchObject({ created: false, tenure: { reservationId: made.tenure.reservationId } });
    const other = await group.during(reserve(b, 'red', 2, { request: { ...REQUEST, contentHash: 'y' } }));
    expect(kindOf(other)).toBe('request-id-reused');
  });

  test('a release that comes late, by its address, does not meet the tenant that came after its repetition', async () => {
    const releasing = { caller: 'test', rpc: 'ReleaseAddress', id: 'stop-vm-1', contentHash: 'x' } as const;
    const { slots } = a.plane.useCases.context.store;
    const find = slots.findByRequest.bind(slots);
    for (const lateMs of [0, 5, 30]) {
      const request = { ...releasing, id: `stop-${lateMs}` };
      const made = accepted(await group.during(reserve(a, 'red', 1)));
      const address = formatIpv4(made.tenure.address);
      // Its first question is answered late.
      slots.findByRequest = async (key) => {
        const answer = await find(key);
        await delay(group.clock, 500 + lateMs);
        return answer;
      };
      const late = release(a, 'red', address, { request });
      await group.clock.advance(lateMs);
      slots.findByRequest = find;
      accepted(await group.during(release(b, 'red', address, { request })));
      const next = accepted(await group.during(reserve(b, 'red', 1)));
      await group.during(late);
      const stored = group.disk.slots.get('red' as NetworkId)?.get(next.tenure.address);
      expect(stored).toMatchObject({ state: 'reserved', reservationId: next.tenure.reservationId });
      accepted(await group.during(release(b, 'red', address)));
    }
  });

  test('a longer lease time that was set beside a release counts, though the releaser did not know it', async () => {
    const made = accepted(await group.during(reserve(b, 'red', 1)));
    await group.clock.advance(1_000);
    const longer = { networkId: undefined, patch: { leaseTimeS: 7_200 }, etag: '' };
    const updating = a.plane.useCases.subnets.update('red' as SubnetId, longer, CALL);
    // It is durable, and the other server did not see it yet.
    await group.clock.advance(5);
    const { slots } = b.plane.useCases.context.store;
    const replace = slots.replace.bind(slots);
    let writes = 0;
    // The server that releases dies after its first write.
    slots.replace = (...args) =>
      ++writes === 1 ? replace(...args) : Promise.reject(new StoreUnavailableError('gone'));
    const released = group.during(release(b, 'red', formatIpv4(made.tenure.address)));
    await expect(released).rejects.toThrow(OutcomeUnknownError);
    accepted(await group.during(updating));
    await group.clock.advance(3_700_000);
    expect(group.disk.slots.get('red' as NetworkId)?.size).toBe(1);
    // Twice 3,600 s, as long as another clock can make them.
    await group.clock.advance(3_720_000);
    expect(group.disk.slots.get('red' as NetworkId)?.size ?? 0).toBe(0);
  });

  test('a MAC that was released by one server gets its address again from the other at once', async () => {
    const made = accepted(await group.during(reserve(a, 'red', 1)));
    const address = formatIpv4(made.tenure.address);
    accepted(await group.during(release(a, 'red', address)));
    const again = accepted(await group.during(reserve(b, 'red', 1)));
    expect(formatIpv4(again.tenure.address)).toBe(address);
    expect(again.tenure.reservationId).not.toBe(made.tenure.reservationId);
    expect(kindOf(await group.during(reserve(b, 'red', 2, { address: again.tenure.address })))).toBe(
      'address-reserved',
    );
  });

  test('a subnet that one server made, another one reserves in before its watch showed it', async () => {
    await group.createSubnet(a, 'blue', '10.1.0.0/29');
    const made = accepted(await group.during(reserve(b, 'blue', 1)));
    expect(formatIpv4(made.tenure.address)).toMatch(/^10\.1\.0\./);
  });

  test('a subnet that one server deleted, another one gives no address of, whatever its memory says', async () => {
    await group.clock.advance(1_000);
    accepted(await group.during(a.plane.useCases.subnets.delete('red' as SubnetId, '', CALL)));
    const refused = await group.during(reserve(b, 'red', 1));
    expect(kindOf(refused)).toBe('subnet-not-found');
    const slots = [...(group.disk.slots.get('red' as NetworkId)?.values() ?? [])];
    expect(slots.filter(({ state }) => state === 'reserved')).toEqual([]);
  });

  test('while one server excludes addresses, none of them is acknowledged by the other one, or it is refused', async () => {
    const outcomes = new Set<string>();
    for (const [n, headStartMs] of [0, 1, 2, 3, 4, 199, 200, 201, 202, 203, 204, 205, 300, 500].entries()) {
      const name = `net-${n}`;
      await group.createSubnet(a, name, `10.1.${n}.0/26`);
      await group.clock.advance(1_000);
      const first = (0x0a010000 + n * 256 + 9) as Ipv4;
      const patch = { excludedRanges: [{ first, last: (first + 53) as Ipv4 }] };
      const changed = a.plane.useCases.subnets.update(
        name as SubnetId,
        { networkId: undefined, patch, etag: '' },
        CALL,
      );
      await group.clock.advance(headStartMs);
      const results = await group.during(Promise.all(Array.from({ length: 20 }, (_, each) => reserve(b, name, each))));
      const isShrunk = (await group.during(changed)).ok;
      const addresses = results.flatMap((result) => (result.ok ? [result.value.tenure.address] : []));
      if (isShrunk) expect(addresses.filter((address) => address >= first)).toEqual([]);
      outcomes.add(isShrunk ? 'shrunk' : 'refused');
    }
    expect(outcomes).toEqual(new Set(['shrunk', 'refused']));
  });
});

/**
 * A change that forbids reservations, beside one that takes 10 ms a write, whose caller repeats it at a quick server: by
 * its request, or by its MAC alone. Answers what each repetition came to, and what stands in the end.
 */
async function repeatedBeside(
  change: (name: string) => Promise<unknown>,
  more: { readonly request?: typeof REQUEST },
  kill: boolean,
): Promise<readonly { readonly answer: string; readonly stored: string; readonly subnets: number }[]> {
  const results = [];
  for (let afterMs = 0; afterMs < 40; afterMs += 3) {
    const slow = await group.start({ writeDelayMs: 10, watchLagMs: 200 });
    const name = `net-${afterMs}`;
    await group.createSubnet(a, name, `10.9.${afterMs}.0/29`);
    await group.clock.advance(1_000);
    const changed = change(name);
    const request = more.request && { ...more.request, id: name };
    const first = reserve(slow, name, 1, { request }).catch(() => undefined);
    await group.clock.advance(afterMs);
    const repeated = reserve(b, name, 1, { request });
    if (kill) await group.kill(slow);
    const answer = await group.during(repeated);
    await group.during(Promise.all([changed, first]));
    await group.clock.advance(5_000);
    const isReserved = answer.ok && 'state' in answer.value.tenure && answer.value.tenure.state === 'reserved';
    const slots = [...(group.disk.slots.get(name as NetworkId)?.values() ?? [])];
    results.push({
      answer: isReserved ? 'reserved' : 'refused',
      stored: slots.some(({ state }) => state === 'reserved') ? 'reserved' : 'none',
      subnets: group.disk.networks.get(name as NetworkId)?.subnets.length ?? 0,
    });
    if (!kill) await group.kill(slow);
  }
  return results;
}

describe.each([
  ['by its request', { request: REQUEST }],
  ['by its MAC', {}],
])('a reservation that its server may give back, repeated %s at another one,', (_, more) => {
  test.each([false, true])(
    'stays if it was acknowledged: a network is disabled (its server dies: %s)',
    async (kill) => {
      const disable = (name: string) =>
        a.plane.useCases.networks.update(name as NetworkId, { ipamEnabled: false }, '', CALL);
      const results = await repeatedBeside(disable, more, kill);
      expect(results.filter(({ answer, stored }) => answer === 'reserved' && stored !== 'reserved')).toEqual([]);
    },
  );

  test.each([false, true])('is never one of a subnet that is gone (its server dies: %s)', async (kill) => {
    const remove = (name: string) => a.plane.useCases.subnets.delete(name as SubnetId, '', CALL);
    const results = await repeatedBeside(remove, more, kill);
    const wrong = results.filter(({ answer, stored, subnets }) =>
      subnets === 0 ? answer !== 'refused' || stored !== 'none' : answer === 'reserved' && stored !== 'reserved',
    );
    expect(wrong).toEqual([]);
  });
});

describe('the lead', () => {
  test("is one server's at a time, and the other one's within seconds of its death", async () => {
    expect(group.acting()).toEqual(['server-1']);
    await group.kill(a);
    let waitedMs = 0;
    for (; group.acting().length === 0; waitedMs += 100) await group.clock.advance(100);
    expect(group.acting()).toEqual(['server-2']);
    expect(waitedMs).toBeLessThan(8_000);
    expect(b.plane.lease.holder).toMatchObject({ server: 'server-2', epoch: 2, advertise: 'server-2:7067' });
  });

  test('of a process that is gone is not said to be with its successor', async () => {
    await group.kill(a);
    const successor = await group.start({ name: 'server-1' });
    expect(b.plane.lease.holder).toMatchObject({ server: 'server-1' });
    const { isSelf, holder, isChanging } = successor.plane.lease;
    expect([isSelf, holder, isChanging]).toEqual([false, undefined, true]);
    expect(b.plane.lease.isChanging).toBe(false);
    await group.clock.advance(8_000);
    expect(successor.plane.lease.holder).toMatchObject({ server: group.acting()[0] });
  });

  test('goes to the other one at once when it is given up', async () => {
    await group.during(a.plane.stop());
    await group.clock.advance(1_100);
    expect(b.plane.lease.isSelf).toBe(true);
  });

  test('is not acted on by who stood still, and whoever took it keeps it', async () => {
    const servers = [a, b, await group.start()];
    for (let round = 0; round < 6; round++) {
      // Everybody sleeps through timers that were due; the holder finds its lease over.
      group.clock.jump(7_000);
      for (let step = 0; step < 200; step++) {
        await group.clock.advance(50);
        expect(group.acting().length).toBeLessThanOrEqual(1);
      }
      expect(group.acting()).toHaveLength(1);
      const seen = new Set(servers.map(({ plane }) => plane.lease.holder?.server));
      expect([...seen]).toEqual(group.acting());
    }
  });

  test('frees released addresses once their rest is over, whoever leads by then', async () => {
    const made = accepted(await group.during(reserve(b, 'red', 1)));
    accepted(await group.during(release(b, 'red', formatIpv4(made.tenure.address), { guestStopped: true })));
    await group.kill(a);
    await group.clock.advance(2 * 3_660_000);
    expect(group.disk.slots.get('red' as NetworkId)?.size ?? 0).toBe(0);
    expect(group.disk.history.size).toBe(1);
  });
});

describe('what the holder reckons with', () => {
  const reuseTimes = () => [a, b].map(({ plane }) => plane.useCases.context.reuse() !== undefined);

  test('only the holder says when an address is free', async () => {
    await group.clock.advance(1_000);
    expect(reuseTimes()).toEqual([true, false]);
    await group.kill(a);
    await group.clock.advance(10_000);
    expect(b.plane.useCases.context.reuse()).toBeDefined();
  });

  test('a holder reckons with the authority as others set it before it led', async () => {
    // A third server was started with another authority, and is gone.
    group.disk.authorityS = 172_800;
    group.disk.authorityCeilingS = 172_800;
    expect(b.store.settings.authorityCeilingS).toBe(86_400);
    await group.kill(a);
    await group.clock.advance(10_000);
    expect(b.plane.lease.isSelf).toBe(true);
    expect(b.store.settings).toMatchObject({ authorityS: 172_800, authorityCeilingS: 172_800 });
  });

  test('what a deposed holder still writes of the silence of a host that was heard since comes to nothing', async () => {
    const { hosts } = a.plane.useCases;
    const report = {
      hostId: 'h1' as HostId,
      attachments: [],
      failureDomain: '',
      backend: 'builtin',
      agentVersion: '0',
    };
    await group.during(hosts.greeted(report, 1));
    const seen = group.disk.hosts.get(report.hostId);
    if (!seen) throw new Error('It was greeted');
    // It says hello to the next holder, of which nothing else is new.
    await group.during(b.plane.useCases.hosts.greeted(report, 2));
    expect(await group.during(a.store.hosts.put({ ...seen, silentForS: 3_600 }))).toBe('conflict');
    await expect(group.during(hosts.greeted(report, 1))).rejects.toThrow('Another server leads');
  });
});

describe('a server whose watch is lost', () => {
  test('reads everything again, and is right afterwards', async () => {
    const made = accepted(await group.during(reserve(a, 'red', 1)));
    await group.clock.advance(1_000);
    group.disk.forgetChanges();
    const c = await group.start();
    expect(c.plane.useCases.context.view.occupancy('red' as NetworkId).reserved).toBe(1);
    accepted(await group.during(release(c, 'red', formatIpv4(made.tenure.address))));
    await group.clock.advance(1_000);
    for (const { plane } of [a, b, c]) {
      expect(plane.useCases.context.view.occupancy('red' as NetworkId).reserved).toBe(0);
    }
    expect(macOf(1)).toBe(made.tenure.mac);
  });

  test('says that an address is free of which only a rescan found that it is', async () => {
    const watch = new HeldWatch();
    const c = await group.start({ watch, watchLagMs: 20 });
    const { view } = c.plane.useCases.context;
    const { address } = accepted(await group.during(reserve(a, 'red', 1))).tenure;
    await group.clock.advance(500);
    watch.isHeld = true;
    accepted(await group.during(release(a, 'red', formatIpv4(address), { guestStopped: true })));
    await group.clock.advance(90_000);
    expect(group.disk.slot('red' as NetworkId, address)).toBeUndefined();
    await group.during(view.rescan('red' as NetworkId));
    const shown: string[] = [];
    view.listen(({ kind }) => void shown.push(kind));
    watch.lose();
    await group.clock.advance(1_000);
    expect(shown).toContain('slot-gone');
  });

  test('finds a network that was made again to be another one, and reserves in it', async () => {
    const watch = new HeldWatch();
    const c = await group.start({ watch, watchLagMs: 20 });
    const { networks, subnets } = a.plane.useCases;
    const [red, subnetId] = ['red' as NetworkId, 'red' as SubnetId];
    watch.isHeld = true;
    // It knows a later document than the one that comes then.
    for (const displayName of ['one', 'two', 'three', 'four', 'five', 'six']) {
      accepted(await group.during(networks.update(red, { displayName }, '', CALL)));
    }
    const { address } = accepted(await group.during(reserve(c, 'red', 1))).tenure;
    accepted(await group.during(release(a, 'red', formatIpv4(address), { guestStopped: true })));
    accepted(await group.during(subnets.delete(subnetId, '', CALL)));
    accepted(await group.during(networks.delete(red, '', CALL)));
    group.disk.networks.delete(red);
    await group.createSubnet(a, 'red', '10.0.0.0/28');
    const shown: string[] = [];
    c.plane.useCases.context.view.listen(({ kind }) => void shown.push(kind));
    watch.lose();
    await group.clock.advance(1_000);
    expect(shown.slice(0, 2)).toEqual(['network-gone', 'network']);
    accepted(await group.during(reserve(c, 'red', 2)));
  });

  test('and that begins to lead meanwhile tells hosts nothing of networks whose slots it did not read yet', async () => {
    const watch = new HeldWatch();
    const c = await group.start({ watch, watchLagMs: 20 });
    await group.kill(b);
    const at = ({ plane }: GroupServer) => ({ plane, advance: (ms: number) => group.clock.advance(ms) });
    const host = new PlayedAgent(at(a), 'h1');
    await host.hello();
    await group.clock.advance(2_000);
    await host.acknowledge();
    const { address } = accepted(await group.during(reserve(a, 'red', 1))).tenure;
    await group.clock.advance(1_000);
    await host.acknowledge();
    // From now on c does not see what a writes: the address goes to another.
    watch.isHeld = true;
    accepted(await group.during(release(a, 'red', formatIpv4(address), { guestStopped: true })));
    await group.clock.advance(300);
    await host.acknowledge();
    for (let beat = 1n; beat <= 70n; beat++) {
      await host.heartbeat(beat, []);
      await group.clock.advance(1_000);
    }
    accepted(await group.during(reserve(a, 'red', 2, { address })));
    await group.clock.advance(300);
    await host.acknowledge();
    await host.breaks();
    await group.kill(a);
    for (let ms = 0; ms < 10_000 && c.plane.lease.epoch === undefined; ms++) await group.clock.advance(1);
    // Its claims are written, and c sees them with what it reads again.
    await group.clock.advance(300);
    watch.slotsAfterMs = 5_000;
    watch.lose();
    await group.clock.advance(300);
    expect(group.disk.networks.get('red' as NetworkId)?.holderEpoch).toBe(c.plane.lease.epoch);
    const again = new PlayedAgent(at(c), 'h1');
    await again.hello();
    await group.clock.advance(1_500);
    await again.heartbeat(1n, []);
    await group.clock.advance(300);
    expect(again.actions).toEqual([]);
    expect(c.plane.useCases.context.reuse()).toBeUndefined();
    expect(again.heartbeatAcks.at(-1)?.placements).toEqual([]);
    await group.clock.advance(5_000);
    expect(c.plane.useCases.context.reuse()).toBeDefined();
    const told = again.deliveries.flatMap(({ action }) =>
      action?.$case === 'snapshotPart' ? action.value.entries.map((entry) => `${entry.mac}=${entry.address}`) : [],
    );
    expect(told).toEqual([`${macOf(2)}=${formatIpv4(address)}`]);
  });
});
