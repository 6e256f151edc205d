// The life of reservations, through the product's use cases, in virtual time.

import { formatIpv4, type Ipv4, parseIpv4 } from '@leasehold/proto/values';
import type { Result } from '@leasehold/server/domain/errors';
import type { NetworkId, ReservationId, SubnetId } from '@leasehold/server/domain/ids';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Installation } from './installation.js';

let installation: Installation;

// A guest's clock may be two percent slower than the server's: (1 + 1 %) / (1 - 1 %).
const LEASE_AND_DELAY_MS = 60_000 + Math.ceil((3_600_000 * 1.01) / 0.99);

beforeEach(async () => {
  installation = await Installation.start();
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'tiny', '10.0.0.0/29');
});

afterEach(async () => {
  await installation.stop();
});

const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, '0')}`;
const ip = (text: string): Ipv4 => {
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
};
const kindOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.error.kind);

describe('reserve', () => {
  test('the same MAC again gets the same reservation, and is told that it was there', async () => {
    const first = await installation.tryReserve('tiny', mac(1));
    const again = await installation.tryReserve('tiny', mac(1));
    expect(first).toMatchObject({ ok: true, value: { created: true } });
    expect(again).toMatchObject({ ok: true, value: { created: false } });
    expect(again.ok && again.value.tenure).toEqual(first.ok && first.value.tenure);
  });

  test('a MAC that holds an address gets no other by name, nor in another subnet of the network', async () => {
    await installation.createSubnet('red', 'other', '10.0.1.0/29');
    const held = await installation.reserve('tiny', mac(1), '10.0.0.3');
    const named = await installation.tryReserve('tiny', mac(1), '10.0.0.4');
    const elsewhere = await installation.tryReserve('other', mac(1));
    const metadata = { reservation_id: held.reservationId, address: '10.0.0.3', subnet_id: 'tiny' };
    expect(named).toMatchObject({ ok: false, error: { kind: 'mac-reserved', metadata } });
    expect(elsewhere).toMatchObject({ ok: false, error: { kind: 'mac-reserved', metadata } });
  });

  test('what is refused because the store is away leaves in memory what was there', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    const usage = () =>
      installation.plane.useCases.context.view.occupancy('red' as NetworkId).usageOf('tiny' as SubnetId);
    const before = usage();
    installation.failStore();
    for (const [n, address] of [[1], [1, '10.0.0.3'], [2, '10.0.0.3'], [2, '10.0.0.4'], [2]] as const) {
      await expect(installation.tryReserve('tiny', mac(n), address)).rejects.toThrow('The store failed');
    }
    expect(usage()).toEqual(before);
  });

  test('a named address is given to one MAC only', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    expect(kindOf(await installation.tryReserve('tiny', mac(2), '10.0.0.3'))).toBe('address-reserved');
  });

  test.each([
    ['10.0.0.0', 'network'],
    ['10.0.0.7', 'broadcast'],
    ['10.0.1.1', 'outside'],
  ])('%s cannot be named: it is the %s address', async (address) => {
    expect(kindOf(await installation.tryReserve('tiny', mac(1), address))).toBe('invalid-field');
    expect(installation.disk.slots.get('red' as NetworkId)?.size ?? 0).toBe(0);
  });

  test('as many parallel requests as addresses all succeed, none twice, and the next one is refused', async () => {
    const results = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => installation.reserve('tiny', mac(n))));
    expect(new Set(results.map(({ address }) => formatIpv4(address))).size).toBe(6);
    const next = await installation.tryReserve('tiny', mac(7));
    expect(next).toMatchObject({ ok: false, error: { kind: 'subnet-exhausted', metadata: { quarantined: '0' } } });
  });

  test('parallel requests for one MAC get one address, also when it is the last one', async () => {
    for (const n of [1, 2, 3, 4, 5]) await installation.reserve('tiny', mac(n));
    const results = await Promise.all([6, 6, 6].map((n) => installation.tryReserve('tiny', mac(n))));
    expect(results.map(kindOf)).toEqual(['ok', 'ok', 'ok']);
    expect(new Set(results.map((result) => result.ok && result.value.tenure.address)).size).toBe(1);
  });

  test('by network, any subnet with room will do', async () => {
    await installation.createSubnet('red', 'other', '10.0.1.0/30');
    const anywhere = { subnetId: undefined, networkId: 'red' as NetworkId };
    const results = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => installation.tryReserve('', mac(n), undefined, anywhere)),
    );
    expect(results.map(kindOf)).toEqual(Array(8).fill('ok'));
    expect(kindOf(await installation.tryReserve('', mac(9), undefined, anywhere))).toBe('subnet-exhausted');
  });

  test('a disabled network refuses new reservations and keeps the old ones', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.updateNetwork('red', { ipamEnabled: false });
    expect(kindOf(await installation.tryReserve('tiny', mac(2)))).toBe('ipam-disabled');
    expect(installation.disk.slots.get('red' as NetworkId)?.get(ip('10.0.0.3'))?.state).toBe('reserved');
  });

  test('settings that changed since they were read for a request are read once more', async () => {
    const { networks } = installation.plane.useCases.context.store;
    await installation.updateNetwork('red', { ipamEnabled: false });
    const { findBySubnet } = networks;
    // The network is on when it is read, and off when an address is looked for.
    vi.spyOn(networks, 'findBySubnet').mockImplementationOnce(async (...wanted) => {
      await installation.updateNetwork('red', { ipamEnabled: true });
      const read = await findBySubnet(...wanted);
      await installation.updateNetwork('red', { ipamEnabled: false });
      await installation.advance(20);
      return read;
    });
    expect(kindOf(await installation.tryReserve('tiny', mac(1)))).toBe('ipam-disabled');
  });

  test('a request id answers what it made, also after a release, and refuses other content', async () => {
    const request = { caller: 'test', rpc: 'ReserveAddress', id: 'r1', contentHash: 'a' } as const;
    const first = await installation.tryReserve('tiny', mac(1), undefined, { request });
    if (!first.ok) throw new Error(first.error.message);
    await installation.tryRelease('tiny', formatIpv4(first.value.tenure.address));
    const again = await installation.tryReserve('tiny', mac(1), undefined, { request });
    expect(again).toMatchObject({ ok: true, value: { created: false, tenure: { state: 'quarantined' } } });
    const other = { ...request, contentHash: 'b' };
    expect(kindOf(await installation.tryReserve('tiny', mac(2), undefined, { request: other }))).toBe(
      'request-id-reused',
    );
  });
});

describe('requests repeated', () => {
  const release = (id: string) => ({ caller: 'test', rpc: 'ReleaseAddress', id, contentHash: 'h' }) as const;
  const reserve = (id: string) => ({ caller: 'test', rpc: 'ReserveAddress', id, contentHash: 'h' }) as const;

  test('a release that found the address resting, repeated, does not release the guest that has it since', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3', { request: release('q') });
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    expect(kindOf(await installation.tryRelease('tiny', '10.0.0.3', { request: release('q') }))).toBe('ok');
    expect(installation.disk.slots.get('red' as NetworkId)?.get(ip('10.0.0.3'))?.state).toBe('reserved');
  });

  test('a reserve that found the reservation there, repeated after its release, makes no other', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryReserve('tiny', mac(1), undefined, { request: reserve('r') });
    await installation.tryRelease('tiny', '10.0.0.3');
    const again = await installation.tryReserve('tiny', mac(1), undefined, { request: reserve('r') });
    expect(again).toMatchObject({ ok: true, value: { created: false, tenure: { state: 'quarantined' } } });
  });

  test('a release by address and tenure is done also when the address is free by then', async () => {
    const { reservationId } = await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3', { reservationId });
    await installation.advance(LEASE_AND_DELAY_MS + 5_000);
    expect(kindOf(await installation.tryRelease('tiny', '10.0.0.3', { reservationId }))).toBe('ok');
  });

  test('what a MAC holds is answered also while its network is disabled', async () => {
    const { reservationId } = await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.updateNetwork('red', { ipamEnabled: false });
    const again = await installation.tryReserve('tiny', mac(1));
    expect(again).toMatchObject({ ok: true, value: { created: false, tenure: { reservationId } } });
  });
});

describe('release and reuse', () => {
  test('the MAC gets its own address back, as another tenure', async () => {
    const first = await installation.reserve('tiny', mac(1));
    await installation.tryRelease('tiny', formatIpv4(first.address));
    const second = await installation.reserve('tiny', mac(1));
    expect(second.address).toBe(first.address);
    expect(second.reservationId).not.toBe(first.reservationId);
    expect(installation.disk.history.has(first.reservationId)).toBe(true);
  });

  test('another MAC gets a released address only after reuse delay and lease time, and not by name before', async () => {
    for (const n of [1, 2, 3, 4, 5, 6]) await installation.reserve('tiny', mac(n));
    await installation.tryRelease('tiny', '10.0.0.3');
    await installation.advance(LEASE_AND_DELAY_MS - 1_000);
    expect(await installation.tryReserve('tiny', mac(7))).toMatchObject({
      ok: false,
      error: { kind: 'subnet-exhausted', metadata: { quarantined: '1' } },
    });
    expect(kindOf(await installation.tryReserve('tiny', mac(7), '10.0.0.3'))).toBe('address-quarantined');
    await installation.advance(3_000);
    expect(formatIpv4((await installation.reserve('tiny', mac(7))).address)).toBe('10.0.0.3');
  });

  test('a restart of the server begins the wait anew', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3');
    await installation.advance(LEASE_AND_DELAY_MS - 10_000);
    await installation.killServer();
    await installation.startServer();
    await installation.advance(LEASE_AND_DELAY_MS - 10_000);
    expect(kindOf(await installation.tryReserve('tiny', mac(2), '10.0.0.3'))).toBe('address-quarantined');
    await installation.advance(12_000);
    expect(kindOf(await installation.tryReserve('tiny', mac(2), '10.0.0.3'))).toBe('ok');
  });

  test('a late or repeated release of an older tenure frees nothing', async () => {
    const first = await installation.reserve('tiny', mac(1), '10.0.0.3');
    const key = { kind: 'id', reservationId: first.reservationId } as const;
    await installation.tryRelease('tiny', '10.0.0.3', { key });
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    expect(kindOf(await installation.tryRelease('tiny', '10.0.0.3', { key }))).toBe('ok');
    const guarded = await installation.tryRelease('tiny', '10.0.0.3', { reservationId: first.reservationId });
    expect(guarded).toMatchObject({ ok: true, value: { reservationId: first.reservationId } });
    expect(installation.disk.slots.get('red' as NetworkId)?.get(ip('10.0.0.3'))?.state).toBe('reserved');
  });

  test('a guard that does not match releases nothing', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    const otherId = 'AQoAAHG4mA2jEZQDuGURcmVk' as ReservationId;
    expect(kindOf(await installation.tryRelease('tiny', '10.0.0.3', { reservationId: otherId }))).toBe(
      'reservation-mismatch',
    );
    expect(kindOf(await installation.tryRelease('tiny', '10.0.0.3', { mac: mac(2) as never }))).toBe(
      'reservation-mismatch',
    );
    expect(installation.disk.slots.get('red' as NetworkId)?.get(ip('10.0.0.3'))?.state).toBe('reserved');
  });

  test('nothing there is not found, and an id that nobody made is, too', async () => {
    expect(kindOf(await installation.tryRelease('tiny', '10.0.0.3'))).toBe('reservation-not-found');
    const key = { kind: 'id', reservationId: 'nonsense' as ReservationId } as const;
    expect(kindOf(await installation.tryRelease('tiny', '10.0.0.3', { key }))).toBe('reservation-not-found');
  });

  test('the engine can vouch later that the guest is stopped', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3');
    const vouched = await installation.tryRelease('tiny', '10.0.0.3', { guestStopped: true });
    expect(vouched).toMatchObject({ ok: true, value: { vouched: true, state: 'quarantined' } });
  });
});

describe('settings against reservations', () => {
  test('a subnet with reservations is not deleted; without them it is, and its resting addresses stay blocked', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    expect(kindOf(await installation.tryDeleteSubnet('tiny'))).toBe('subnet-in-use');
    await installation.tryRelease('tiny', '10.0.0.3');
    expect(kindOf(await installation.tryDeleteSubnet('tiny'))).toBe('ok');
    await installation.createSubnet('red', 'again', '10.0.0.0/29');
    expect(kindOf(await installation.tryReserve('again', mac(2), '10.0.0.3'))).toBe('address-quarantined');
    const others = await Promise.all([2, 3, 4, 5, 6].map((n) => installation.tryReserve('again', mac(n))));
    expect(others.map(kindOf)).toEqual(Array(5).fill('ok'));
    expect(kindOf(await installation.tryReserve('again', mac(7)))).toBe('subnet-exhausted');
  });

  test('reservations and the deletion of their subnet at once: never a reservation without its subnet', async () => {
    for (let round = 0; round < 20; round++) {
      await installation.createSubnet('red', `r${round}`, '10.9.0.0/29');
      const reserving = [1, 2, 3].map((n) => installation.tryReserve(`r${round}`, mac(64 + n)));
      const deleting = installation.tryDeleteSubnet(`r${round}`);
      const [deleted, ...reserved] = await Promise.all([deleting, ...reserving]);
      const acknowledged = reserved.filter((result) => result.ok);
      expect([kindOf(deleted), acknowledged.length > 0]).not.toEqual(['ok', true]);
      for (const result of acknowledged)
        await installation.tryRelease(`r${round}`, formatIpv4(result.value.tenure.address));
      if (!deleted.ok) await installation.tryDeleteSubnet(`r${round}`);
    }
  });

  test('what is reserved or resting can be neither excluded nor become the gateway', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.reserve('tiny', mac(2), '10.0.0.4');
    await installation.tryRelease('tiny', '10.0.0.4');
    const range = (address: string) => [{ first: ip(address), last: ip(address) }];
    expect(await installation.tryUpdateSubnet('tiny', { excludedRanges: range('10.0.0.3') })).toMatchObject({
      ok: false,
      error: { kind: 'range-in-use', metadata: { address: '10.0.0.3' } },
    });
    expect(kindOf(await installation.tryUpdateSubnet('tiny', { gateway: ip('10.0.0.4') }))).toBe('range-in-use');
    expect(kindOf(await installation.tryUpdateSubnet('tiny', { excludedRanges: range('10.0.0.5') }))).toBe('ok');
    expect(kindOf(await installation.tryReserve('tiny', mac(3), '10.0.0.5'))).toBe('invalid-field');
    expect([...installation.disk.networks.values()][0]?.mark).toBeUndefined();
  });

  test('of two updates at once none undoes the other, at whatever moment the second comes', async () => {
    for (let offset = 0; offset < 30; offset++) {
      await installation.createSubnet('red', `u${offset}`, `10.1.${offset}.0/24`);
      const excludedRanges = [{ first: ip(`10.1.${offset}.50`), last: ip(`10.1.${offset}.60`) }];
      const later = async () => {
        for (let turn = 0; turn < offset; turn++) await Promise.resolve();
        return installation.tryUpdateSubnet(`u${offset}`, { leaseTimeS: 604_800 });
      };
      const results = await Promise.all([installation.tryUpdateSubnet(`u${offset}`, { excludedRanges }), later()]);
      expect(results.map(kindOf)).toEqual(['ok', 'ok']);
      const subnet = installation.disk.networks
        .get('red' as NetworkId)
        ?.subnets.find(({ subnetId }) => subnetId === `u${offset}`);
      expect(subnet).toMatchObject({ leaseTimeS: 604_800, leaseTimeCeilingS: 604_800, excludedRanges });
    }
  });

  test('an update whose exclusions another one lifted meanwhile looks again before it excludes them', async () => {
    const range = (address: string) => ({ first: ip(address), last: ip(address) });
    await installation.tryUpdateSubnet('tiny', { excludedRanges: [range('10.0.0.2')] });
    const { slots } = installation.plane.useCases.context.store;
    const { list } = slots;
    // While the new exclusion is looked for, the old one is lifted and its address reserved.
    vi.spyOn(slots, 'list').mockImplementationOnce(async (...wanted) => {
      await installation.tryUpdateSubnet('tiny', { excludedRanges: [] });
      await installation.reserve('tiny', mac(1), '10.0.0.2');
      return list(...wanted);
    });
    const both = { excludedRanges: [range('10.0.0.2'), range('10.0.0.5')] };
    expect(kindOf(await installation.tryUpdateSubnet('tiny', both))).toBe('range-in-use');
    expect([...installation.disk.networks.values()][0]).toMatchObject({ subnets: [{ excludedRanges: [] }] });
  });

  test('subnets of one network can be deleted side by side', async () => {
    const subnets = Array.from({ length: 8 }, (_, i) => `d${i}`);
    for (const [i, subnetId] of subnets.entries()) await installation.createSubnet('red', subnetId, `10.2.${i}.0/24`);
    const results = await Promise.all(subnets.map((subnetId) => installation.tryDeleteSubnet(subnetId)));
    expect(results.map(kindOf)).toEqual(Array(8).fill('ok'));
  });

  test('a release while a full subnet is read again is not forgotten', async () => {
    for (const n of [1, 2, 3, 4, 5, 6]) await installation.reserve('tiny', mac(n));
    const { view, store } = installation.plane.useCases.context;
    const snapshot = await store.snapshot();
    // The address is released between the reading of a batch and its use.
    const summaries: typeof snapshot.summaries = async function* (networkId) {
      for await (const batch of snapshot.summaries(networkId)) {
        await installation.tryRelease('tiny', '10.0.0.3');
        yield batch;
      }
    };
    vi.spyOn(store, 'snapshot').mockResolvedValueOnce({ ...snapshot, summaries });
    await view.rescan('red' as NetworkId);
    expect(view.occupancy('red' as NetworkId).resting.has(ip('10.0.0.3'))).toBe(true);
    await installation.advance(LEASE_AND_DELAY_MS + 5_000);
    expect(kindOf(await installation.tryReserve('tiny', mac(7)))).toBe('ok');
  });

  test('a new subnet’s gateway is no address that still rests', async () => {
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3');
    await installation.tryDeleteSubnet('tiny');
    await expect(installation.createSubnet('red', 'again', '10.0.0.0/29', { gateway: ip('10.0.0.3') })).rejects.toThrow(
      'range-in-use',
    );
  });

  test('a subnet created again without its gateway is another one', async () => {
    await installation.createSubnet('red', 'g', '10.3.0.0/24', { gateway: ip('10.3.0.1') });
    await expect(installation.createSubnet('red', 'g', '10.3.0.0/24')).rejects.toThrow('subnet-exists');
    await installation.createSubnet('red', 'g', '10.3.0.0/24', { gateway: ip('10.3.0.1') });
  });

  test('subnets of one network do not overlap, those of different networks may', async () => {
    await installation.createNetwork('blue');
    await expect(installation.createSubnet('red', 'b', '10.0.0.0/24')).rejects.toThrow('subnet-overlap');
    await installation.createSubnet('blue', 'b', '10.0.0.0/24');
  });

  test('a subnet id is unique for the whole installation', async () => {
    await installation.createNetwork('blue');
    await expect(installation.createSubnet('blue', 'tiny', '10.5.0.0/24')).rejects.toThrow('subnet-exists');
  });

  test('a network with subnets is not deleted', async () => {
    expect(kindOf(await installation.tryDeleteNetwork('red'))).toBe('network-in-use');
  });

  test('a deleted network made again inherits resting addresses and epochs under a new uid', async () => {
    await installation.addHost('h1', ['red']);
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3');
    await installation.tryDeleteSubnet('tiny');
    const before = installation.disk.networks.get('red' as NetworkId);
    expect(kindOf(await installation.tryDeleteNetwork('red'))).toBe('ok');
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'tiny', '10.0.0.0/29');
    const after = installation.disk.networks.get('red' as NetworkId);
    expect(after?.uid).not.toBe(before?.uid);
    expect(after?.placements[0]?.epoch).toBeGreaterThan(before?.placementCounter ?? 0);
    expect(kindOf(await installation.tryReserve('tiny', mac(2), '10.0.0.3'))).toBe('address-quarantined');
  });

  test('a deleted network is gone once nothing of it rests or may answer', async () => {
    await installation.addHost('h1', ['red']);
    await installation.reserve('tiny', mac(1), '10.0.0.3');
    await installation.tryRelease('tiny', '10.0.0.3');
    await installation.tryDeleteSubnet('tiny');
    await installation.tryDeleteNetwork('red');
    await installation.advance(1_000);
    expect(installation.disk.networks.has('red' as NetworkId)).toBe(true);
    await installation.advance(LEASE_AND_DELAY_MS + 10_000);
    expect(installation.disk.networks.has('red' as NetworkId)).toBe(false);
  });
});
