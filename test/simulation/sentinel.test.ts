// What hosts notice on their wires, with real agents and a real server in virtual time.

import { ConflictKind } from '@leasehold/proto/ipam/v1/reservation';
import type { Ipv4 } from '@leasehold/proto/values';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import type { SubnetSettings } from '@leasehold/server/domain/subnet-settings';
import { afterEach, describe, expect, test } from 'vitest';
import { arpFrame, dhcpFrame } from '../fakes/fake-wire.js';
import { accepted, Installation } from './installation.js';
import { PlayedAgent } from './played-agent.js';

const RED = 'red' as NetworkId;
const ADDRESS = 0x0a00000a as Ipv4;
const GUEST = '52:54:00:00:00:01';
const THIEF = '52:54:00:00:00:ff';

let installation: Installation;

afterEach(async () => {
  await installation.stop();
});

/** `red` with its only guest, served by both hosts. */
async function redOnBoth(): Promise<void> {
  installation = await Installation.start({ h1: ['red'], h2: ['red'] });
  await installation.createNetwork('red', { dhcpServerCount: 2 });
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
  await installation.reserve('red-a', GUEST, '10.0.0.10');
  await installation.advance(2_000);
}

function slot(): Slot {
  const found = installation.disk.slots.get(RED)?.get(ADDRESS);
  if (!found) throw new Error('There is no slot');
  return found;
}

function use(hostId: string, mac = THIEF): void {
  installation.host(hostId).interfaces.pass('br-red', arpFrame(mac, '0a00000a'));
}

test('what a host notices is noted with the reservation, once a minute of the same', async () => {
  await redOnBoth();
  const { revision } = slot();
  use('h1');
  await installation.advance(1_000);
  expect(slot().conflict).toMatchObject({ kind: 'address-in-use', sourceMac: THIEF, hostId: 'h1' });
  const noted = slot();
  expect(noted).toMatchObject({ state: 'reserved', networkId: RED, address: ADDRESS, revision: revision + 1 });
  for (let second = 0; second < 50; second++) {
    use('h1');
    await installation.advance(1_000);
  }
  expect(slot()).toEqual(noted);
  await installation.advance(10_000);
  use('h1');
  await installation.advance(1_000);
  expect(slot().revision).toBe(noted.revision + 1);
});

test('a host is not believed of networks that it does not serve', async () => {
  await redOnBoth();
  const [liar, before] = [new PlayedAgent(installation, 'h3'), slot()];
  await liar.hello();
  const about = { networkId: 'red', address: '10.0.0.10', reservationId: before.reservationId };
  const sighting = { ...about, kind: ConflictKind.ADDRESS_IN_USE, sourceMac: THIEF };
  await liar.say({ $case: 'sightingReport', value: { sessionEpoch: liar.epoch, sightings: [sighting] } });
  await installation.advance(1_000);
  expect([slot(), liar.ended]).toEqual([before, undefined]);
  // It says so by its own word, and is told nothing of the network.
  expect(liar.actions).toEqual([]);
});

test('guests are answered as before, and tables do not drift', async () => {
  await redOnBoth();
  const before = installation.answers('red');
  use('h1');
  use('h2');
  await installation.advance(5_000);
  expect(slot().conflict?.kind).toBe('address-in-use');
  expect(installation.answers('red')).toEqual(before);
  expect(installation.drifts).toBe(0);
});

test('while the store is away it is dropped, which is no defect', async () => {
  await redOnBoth();
  installation.failStore();
  use('h1');
  await installation.advance(1_000);
  expect(slot().conflict).toBeUndefined();
  expect(installation.log.complaints().filter((line) => line.includes('sighting'))).toEqual([]);
});

test('a released address, and one that its own guest uses, are no news', async () => {
  await redOnBoth();
  use('h1', GUEST);
  await installation.advance(1_000);
  expect(slot().conflict).toBeUndefined();
  expect(await installation.tryRelease('red-a', '10.0.0.10')).toMatchObject({ ok: true });
  await installation.advance(1_000);
  use('h1');
  await installation.advance(1_000);
  expect(slot()).toMatchObject({ state: 'quarantined' });
  expect(slot().conflict).toBeUndefined();
});

test('another DHCP server is stored with the host that hears it, and forgotten ten minutes later', async () => {
  await redOnBoth();
  const offer = Buffer.alloc(300);
  offer.write('02010600', 0, 'hex');
  offer.write('5254000000', 28, 'hex');
  offer.write('63825363350102360401020304ff', 236, 'hex');
  installation.host('h1').interfaces.pass('br-red', dhcpFrame(THIEF, 67, 68, offer));
  await installation.advance(2_000);
  const stored = () => [...installation.disk.hosts.values()].map(({ hostId, attachments }) => [hostId, ...attachments]);
  const plain = { networkId: 'red', interface: 'br-red' };
  expect(stored()).toEqual([
    ['h1', { ...plain, foreignServers: [{ address: 0x01020304, mac: THIEF }] }],
    ['h2', plain],
  ]);
  await installation.advance(600_000);
  expect(stored()).toEqual([
    ['h1', plain],
    ['h2', plain],
  ]);
});

describe('probe_before_use', () => {
  const SQUATTER = '52:54:00:00:00:ee';

  async function probedRed(cidr = '10.0.0.0/24'): Promise<void> {
    installation = await Installation.start({ h1: ['red'] });
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', cidr, { probeBeforeUse: true });
    await installation.advance(2_000);
  }

  /** A machine that has all addresses of 10.0.0.0/24 but these, without a reservation. */
  function squat(...but: readonly number[]): void {
    const { users } = installation.host('h1').interfaces;
    for (let n = 1; n < 255; n++) if (!but.includes(n)) users.set(0x0a000000 + n, SQUATTER);
  }

  async function reserveIn<T>(pending: Promise<T>, ms = 1_000): Promise<T> {
    await installation.advance(ms);
    return pending;
  }

  test('a newly chosen address is asked for, and one in use is passed over', async () => {
    await probedRed('10.0.0.0/29');
    squat(5);
    const { tenure, created } = accepted(await reserveIn(installation.tryReserve('red-a', GUEST), 5_000));
    expect(created).toBe(true);
    expect(tenure.address).toBe(0x0a000005);
  });

  test('when all that is free is in use the refusal names it, and later it is asked for again', async () => {
    await probedRed('10.0.0.0/29');
    squat();
    const refused = await reserveIn(installation.tryReserve('red-a', GUEST), 5_000);
    expect(refused).toMatchObject({ ok: false, error: { kind: 'addresses-in-use', metadata: { subnet_id: 'red-a' } } });
    installation.host('h1').interfaces.users.clear();
    expect(await reserveIn(installation.tryReserve('red-a', GUEST))).toMatchObject({ ok: false });
    await installation.advance(600_000);
    expect(await reserveIn(installation.tryReserve('red-a', GUEST))).toMatchObject({ ok: true });
  });

  test('its own machine may have it already', async () => {
    await probedRed();
    const { users } = installation.host('h1').interfaces;
    for (let n = 1; n < 255; n++) users.set(0x0a000000 + n, GUEST);
    expect(await reserveIn(installation.tryReserve('red-a', GUEST))).toMatchObject({ ok: true });
  });

  test('an address by name, and the one that the MAC had, are not asked for', async () => {
    await probedRed();
    squat();
    expect(await installation.tryReserve('red-a', GUEST, '10.0.0.10')).toMatchObject({ ok: true });
    expect(await installation.tryRelease('red-a', '10.0.0.10')).toMatchObject({ ok: true });
    expect(await installation.tryReserve('red-a', GUEST)).toMatchObject({ ok: true });
    expect(installation.host('h1').interfaces.sent).toEqual([]);
  });

  test('where nobody can be asked it is reserved all the same', async () => {
    await probedRed();
    installation.host('h1').links.clear();
    await installation.advance(2_000);
    squat();
    expect(await reserveIn(installation.tryReserve('red-a', GUEST))).toMatchObject({ ok: true });
  });

  test('a host that goes while it is asked keeps nobody waiting', async () => {
    await probedRed();
    const pending = installation.tryReserve('red-a', GUEST);
    await installation.advance(10);
    installation.host('h1').wire.breakStream();
    expect(await reserveIn(pending, 100)).toMatchObject({ ok: true });
  });

  test('once probing is switched off nothing is passed over any more', async () => {
    await probedRed('10.0.0.0/29');
    squat();
    await reserveIn(installation.tryReserve('red-a', GUEST), 5_000);
    const off = { probeBeforeUse: undefined } as unknown as Partial<SubnetSettings>;
    expect(await installation.tryUpdateSubnet('red-a', off)).toMatchObject({ ok: true });
    await installation.advance(100);
    expect(await installation.tryReserve('red-a', GUEST)).toMatchObject({ ok: true });
  });

  test('a machine that answers for everything is not believed for long', async () => {
    await probedRed();
    squat();
    const { tenure } = accepted(await reserveIn(installation.tryReserve('red-a', GUEST), 20_000));
    expect(tenure.mac).toBe(GUEST);
    expect(installation.log.complaints()).toContain('a machine answers for too many addresses and is not believed');
  });

  test('when there are more reserves than addresses, those that are asked for count as taken', async () => {
    await probedRed('10.0.0.0/29');
    const asked = Array.from({ length: 40 }, (_, n) => installation.tryReserve('red-a', `52:54:00:02:00:${10 + n}`));
    const results = await reserveIn(Promise.all(asked), 10_000);
    expect(results.filter(({ ok }) => ok)).toHaveLength(6);
    expect(results.find(({ ok }) => !ok)).toMatchObject({ error: { kind: 'subnet-exhausted' } });
    expect(installation.host('h1').interfaces.sent).toHaveLength(3 * 6);
  });

  test('a host that cannot ask is left alone, and another one is asked', async () => {
    installation = await Installation.start({ h1: ['red'], h2: ['red'] });
    await installation.createNetwork('red', { dhcpServerCount: 2 });
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24', { probeBeforeUse: true });
    installation.host('h1').interfaces.trouble = 'No raw sockets here';
    await installation.advance(2_000);
    for (let n = 1; n < 4; n++) {
      await reserveIn(installation.tryReserve('red-a', `52:54:00:03:00:0${n}`), 1_000);
    }
    const sent = ['h1', 'h2'].map((hostId) => installation.host(hostId).interfaces.sent.length);
    expect(sent).toEqual([0, 9]);
  });

  test('of many at once each has its turn', async () => {
    await probedRed('10.0.0.0/16');
    const macs = Array.from(
      { length: 450 },
      (_, n) => `52:54:00:01:${(n >> 8).toString(16)}0:${(n & 255).toString(16)}`,
    );
    const asked = macs.map((mac) => installation.tryReserve('red-a', mac.replace(/:(.)$/, ':0$1')));
    const results = await reserveIn(Promise.all(asked), 3_000);
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(installation.host('h1').interfaces.sent).toHaveLength(3 * 450);
  });
});
