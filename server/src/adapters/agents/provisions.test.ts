import type { SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { beforeEach, describe, expect, test } from 'vitest';
import type { HostId, NetworkId, ReservationId, Uid } from '../../domain/ids.js';
import type { ProvidedNetwork, ProvidedReservation } from '../../ports/dhcp-provider.js';
import { Provisions } from './provisions.js';
import { AgentSession } from './session.js';

const [H1, H2] = ['h1', 'h2'] as HostId[] as [HostId, HostId];
const [RED, BLUE] = ['red', 'blue'] as NetworkId[] as [NetworkId, NetworkId];
const ADDRESS = 0x0a000001 as Ipv4;
const RESERVATION: ProvidedReservation = {
  reservationId: 'r' as ReservationId,
  address: ADDRESS,
  mac: '52:54:00:00:00:01' as Mac,
  hostname: '',
  options: [],
};

function network(networkId: NetworkId): ProvidedNetwork {
  return { networkId, uid: 'u' as Uid, placementEpoch: 1, subnets: [], removalsOnly: false };
}

/** Whether the table is the one that it was. */
function keeps(provisions: Provisions, during: () => void): boolean {
  const table = provisions.table(RED);
  during();
  return provisions.table(RED) === table;
}

const isServed = (provisions: Provisions) => provisions.isServed(RED, ADDRESS, RESERVATION.reservationId);

test('a table is kept while it has reservations, or somebody shall serve its network, and no longer', () => {
  const provisions = new Provisions(() => undefined);
  provisions.set(H1, [network(RED)]);
  provisions.set(H2, [network(RED), network(BLUE)]);
  provisions.add(RED, RESERVATION);
  expect(keeps(provisions, () => provisions.remove(RED, ADDRESS))).toBe(true);
  expect(keeps(provisions, () => provisions.setNetwork(H1, RED, undefined))).toBe(true);
  provisions.add(RED, RESERVATION);
  expect(keeps(provisions, () => provisions.set(H2, [network(BLUE)]))).toBe(true);
  expect(keeps(provisions, () => provisions.clear())).toBe(true);
  expect(keeps(provisions, () => provisions.remove(RED, ADDRESS))).toBe(false);
  provisions.set(H1, [network(RED)]);
  expect(keeps(provisions, () => provisions.set(H1, [network(RED)]))).toBe(true);
  expect(keeps(provisions, () => provisions.forget(H1))).toBe(false);
  provisions.set(H1, [network(RED)]);
  expect(keeps(provisions, () => provisions.setNetwork(H1, RED, undefined))).toBe(false);
  provisions.set(H1, [network(RED)]);
  expect(keeps(provisions, () => provisions.clear())).toBe(false);
});

test('one network more or less leaves the others of a host as they are', () => {
  const provisions = new Provisions(() => undefined);
  provisions.add(RED, RESERVATION);
  provisions.set(H1, [network(BLUE)]);
  provisions.setNetwork(H1, RED, network(RED));
  expect([...(provisions.of(H1)?.networks.keys() ?? [])]).toEqual([BLUE, RED]);
  expect(isServed(provisions)).toBe(true);
  provisions.setNetwork(H1, RED, undefined);
  expect([...(provisions.of(H1)?.networks.keys() ?? [])]).toEqual([BLUE]);
  expect(isServed(provisions)).toBe(false);
});

test('of a host of which nobody said what it shall serve one network says nothing', () => {
  const provisions = new Provisions(() => undefined);
  provisions.setNetwork(H1, RED, network(RED));
  expect(provisions.of(H1)).toBeUndefined();
  expect(isServed(provisions)).toBe(false);
});

describe('while the store is read again', () => {
  const [OLD, NEW] = [0x0a0000c8 as Ipv4, 0x0a000005 as Ipv4];
  const moved = (id: string, address: Ipv4, hostname = ''): ProvidedReservation => {
    return { ...RESERVATION, reservationId: id as ReservationId, address, hostname };
  };
  let provisions: Provisions;
  let told: string[];

  beforeEach(async () => {
    told = [];
    const link = {
      send: ({ message }: SessionResponse) => {
        const action = message?.$case === 'delivery' ? message.value.action : undefined;
        if (action?.$case !== 'tableDelta') return;
        const { put, remove } = action.value;
        for (const { reservationId, address } of remove) told.push(`-${reservationId} ${address}`);
        for (const { reservationId, address, hostname } of put) told.push(`+${reservationId} ${address}${hostname}`);
      },
      end: () => undefined,
    };
    const tables = (networkId: NetworkId) => provisions.table(networkId);
    const session = new AgentSession(H1, { holderEpoch: 1n, counter: 1n }, link, tables, [], [], () => 0);
    provisions = new Provisions(() => session);
    provisions.set(H1, [network(RED)]);
    session.provide([network(RED)]);
    provisions.add(RED, moved('old', OLD));
    provisions.beginReread();
    expect(await saidNow()).toEqual(['+old 10.0.0.200']);
  });

  async function saidNow(): Promise<readonly string[]> {
    await Promise.resolve();
    return told.splice(0);
  }

  const macs = () =>
    provisions
      .table(RED)
      .snapshot()
      .map(({ mac }) => mac);

  test('a MAC that is shown at another address before the end at its old one is in the table once', async () => {
    provisions.add(RED, moved('new', NEW));
    expect([await saidNow(), macs().length]).toEqual([[], 1]);
    provisions.remove(RED, OLD);
    expect([await saidNow(), macs().length]).toEqual([['-old 10.0.0.200'], 0]);
    provisions.endReread();
    expect(await saidNow()).toEqual(['+new 10.0.0.5']);
    provisions.add(RED, moved('another', 0x0a000007 as Ipv4));
    expect(await saidNow()).toEqual(['+another 10.0.0.7']);
  });

  test('what took an address over ends what was there at once; what is as it was, or only called otherwise, does not wait', async () => {
    provisions.add(RED, moved('old', OLD));
    expect(await saidNow()).toEqual([]);
    provisions.add(RED, moved('old', OLD, ' renamed'));
    expect(await saidNow()).toEqual(['+old 10.0.0.200 renamed']);
    provisions.add(RED, moved('new', OLD));
    expect([await saidNow(), macs().length]).toEqual([['-old 10.0.0.200'], 0]);
    provisions.endReread();
    expect(await saidNow()).toEqual(['+new 10.0.0.200']);
  });

  test('what ended before that was over is never told', async () => {
    provisions.add(RED, moved('new', NEW));
    provisions.remove(RED, NEW);
    provisions.beginReread();
    provisions.endReread();
    expect(await saidNow()).toEqual([]);
  });
});
