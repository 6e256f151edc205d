import { type TableEntry, TableState } from '@leasehold/proto/ipam/v1/session';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { HostId, NetworkId, ReservationId, Uid } from '../../domain/ids.js';
import type { ProvidedNetwork, ProvidedReservation } from '../../ports/dhcp-provider.js';
import { Provisions } from './provisions.js';
import { AgentSession } from './session.js';

const H1 = 'h1' as HostId;
const RED = 'red' as NetworkId;
const NETWORK: ProvidedNetwork = {
  networkId: RED,
  uid: 'u' as Uid,
  placementEpoch: 1,
  subnets: [],
  removalsOnly: false,
};

const hex = (byte: number) => byte.toString(16).padStart(2, '0');

function reservation(tenure: number, at: number, mac: number, hostname = ''): ProvidedReservation {
  return {
    reservationId: `r${tenure}` as ReservationId,
    address: (0x0a000000 + at) as Ipv4,
    mac: `52:54:00:00:${hex(mac >> 8)}:${hex(mac & 0xff)}` as Mac,
    hostname,
    options: [],
  };
}

/** One host with one network, and what an agent has of it that does as protocol.md says. */
class OneHost {
  nowMs = 0;
  readonly provisions: Provisions = new Provisions(() => this.session);
  readonly table = new Map<
    string,
    { readonly reservationId: string; readonly mac: string; readonly hostname: string }
  >();
  readonly addresses = new Map<string, string>();
  /** The sequence of every delivery, and how much each delta carried. */
  readonly sequences: bigint[] = [];
  readonly sizes: number[] = [];
  readonly session: AgentSession;

  constructor() {
    const link: ConstructorParameters<typeof AgentSession>[2] = {
      send: ({ message }) => {
        if (message?.$case !== 'delivery') return;
        const { action, sequence } = message.value;
        this.sequences.push(sequence);
        if (action?.$case !== 'tableDelta') return;
        const { remove, put } = action.value;
        this.sizes.push(remove.length + put.length);
        for (const { address, reservationId } of remove) {
          if (this.table.get(address)?.reservationId === reservationId) this.table.delete(address);
        }
        for (const entry of put) {
          const other = this.addresses.get(entry.mac);
          if (other && this.table.get(other)?.mac === entry.mac) this.table.delete(other);
          this.table.set(entry.address, entry);
          this.addresses.set(entry.mac, entry.address);
        }
      },
      end: () => undefined,
    };
    const tables = (networkId: NetworkId) => this.provisions.table(networkId);
    this.session = new AgentSession(H1, { holderEpoch: 1n, counter: 1n }, link, tables, [], [], () => this.nowMs);
    this.provide(NETWORK);
    this.acknowledge();
  }

  provide(network: ProvidedNetwork): void {
    this.provisions.set(H1, [network]);
    this.session.provide([network]);
  }

  acknowledge(sequence = this.sequences.at(-1) ?? 0n): void {
    const state = { networkId: RED, networkUid: NETWORK.uid, placementEpoch: 1n, sequence, serving: true };
    this.session.acknowledged(TableState.fromPartial(state), 0);
  }

  add(...args: Parameters<typeof reservation>): void {
    this.provisions.add(RED, reservation(...args));
  }

  remove(at: number): void {
    this.provisions.remove(RED, reservation(0, at, 0).address);
  }

  /** The server's table, as the agent keeps it. */
  get expected(): ReadonlyMap<string, TableEntry> {
    return new Map(
      this.provisions
        .table(RED)
        .snapshot()
        .map((entry) => [entry.address, entry]),
    );
  }
}

/** Lets what became true in this turn go out. */
const turn = () => Promise.resolve();

test('what was changed and released in the turn in which it was reserved is not in the table', async () => {
  const host = new OneHost();
  host.add(1, 1, 1);
  host.add(1, 1, 1, 'named');
  host.remove(1);
  await turn();
  expect(host.table).toEqual(new Map());
});

test('of an address that changes hands in one turn the last tenure stays, in however many parts it goes out', async () => {
  const host = new OneHost();
  const all = Array.from({ length: 1_500 }, (_, at) => at);
  for (const at of all) host.add(at, at, at, 'first');
  for (const at of all) host.add(at, at, at, 'changed');
  for (const at of all) host.remove(at);
  for (const at of all) host.add(10_000 + at, at, at);
  await turn();
  expect(host.table).toEqual(host.expected);
  expect(host.table.size).toBe(1_500);
  expect(Math.max(...host.sizes)).toBeLessThanOrEqual(1_000);
});

test('whatever becomes true in one turn, the agent has what the server has after it', async () => {
  const step = fc.record({
    at: fc.integer({ min: 1, max: 4 }),
    mac: fc.integer({ min: 1, max: 4 }),
    what: fc.constantFrom('reserve', 'reserve', 'change', 'release'),
    /** The end of the tenure before, of the address or the MAC, is not heard, or later. */
    isMissed: fc.boolean(),
    endsTurn: fc.nat(3).map((n) => n === 0),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const host = new OneHost();
      const macs = new Map<number, number>();
      for (const [tenure, { at, mac, what, isMissed, endsTurn }] of steps.entries()) {
        const [before] = [...macs].find(([, its]) => its === mac) ?? [];
        const there = host.provisions.table(RED).at(reservation(0, at, 0).address);
        if (what === 'release') {
          host.remove(at);
          macs.delete(at);
        } else if (what === 'change' && there) {
          const id = Number(there.reservationId.slice(1));
          host.add(id, at, macs.get(at) ?? 0, `changed-${tenure}`);
        } else if (what === 'reserve' && before !== at) {
          if (!isMissed && before !== undefined) host.remove(before);
          if (!isMissed) host.remove(at);
          host.add(tenure, at, mac);
          if (isMissed && before !== undefined) host.remove(before);
          if (before !== undefined) macs.delete(before);
          macs.set(at, mac);
        }
        if (!endsTurn) continue;
        await turn();
        expect(host.table).toEqual(host.expected);
      }
      await turn();
      expect(host.table).toEqual(host.expected);
    }),
  );
});

test('what a host took in is never believed too early, however many deliveries it left unacknowledged', async () => {
  const host = new OneHost();
  const sentMs = new Map<bigint, number>();
  for (let i = 0; i < 50_000; i++) {
    host.nowMs++;
    host.add(i, 1, 1);
    await turn();
    sentMs.set(host.sequences.at(-1) ?? 0n, host.nowMs);
  }
  const sequences = [...sentMs.keys()];
  let takenInMs = host.session.takenInMs(RED);
  for (const part of [0.1, 0.5, 0.75, 0.9, 0.999]) {
    const sequence = sequences[Math.floor(part * sequences.length)] ?? 0n;
    host.acknowledge(sequence);
    const before = takenInMs;
    takenInMs = host.session.takenInMs(RED);
    expect(takenInMs).toBeLessThanOrEqual(sentMs.get(sequence) ?? 0);
    expect(takenInMs).toBeGreaterThan(before);
  }
  host.acknowledge();
  expect(host.session.takenInMs(RED)).toBe(host.nowMs);
});

test('of what a host leaves unacknowledged few moments are kept, and none is missing for long', async () => {
  const host = new OneHost();
  const sent: { readonly sequence: bigint; readonly ms: number }[] = [];
  for (let i = 0; i < 20_000; i++) {
    host.nowMs++;
    host.add(i, 1, 1);
    await turn();
    sent.push({ sequence: host.sequences.at(-1) ?? 0n, ms: host.nowMs });
  }
  sent.pop();
  const moments = new Set<number>();
  const wrong: object[] = [];
  for (const { sequence, ms } of sent) {
    host.acknowledge(sequence);
    const takenInMs = host.session.takenInMs(RED);
    moments.add(takenInMs);
    if (takenInMs > ms || ms - takenInMs > ms / 32) wrong.push({ ms, takenInMs });
  }
  expect(wrong).toEqual([]);
  expect(moments.size).toBeGreaterThan(100);
  expect(moments.size).toBeLessThan(1_000);
});

test('a host that goes on until it is replaced is ready for what it acknowledged, and for nothing that came later', async () => {
  const host = new OneHost();
  const isReady = (tenure: number) => host.session.isReady(RED, `r${tenure}` as ReservationId);
  for (let i = 1; i <= 3; i++) host.add(i, i, i);
  await turn();
  host.acknowledge();
  host.add(4, 4, 4);
  await turn();
  host.add(1, 1, 1, 'changed');
  host.provide({ ...NETWORK, removalsOnly: true });
  host.add(5, 5, 5);
  host.add(2, 2, 2, 'changed');
  await turn();
  expect([1, 2, 3, 4, 5].map(isReady)).toEqual([false, false, true, false, false]);
  host.acknowledge();
  expect([1, 2, 3, 4, 5].map(isReady)).toEqual([false, false, true, true, false]);
  expect([...host.table.keys()]).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']);
});

/** How many entries of maps are looked at meanwhile, one after another. */
function steps(run: () => void): number {
  const entries = Map.prototype[Symbol.iterator];
  let count = 0;
  Map.prototype[Symbol.iterator] = function* (this: Map<unknown, unknown>): Generator<[unknown, unknown], undefined> {
    for (const entry of { [Symbol.iterator]: () => entries.call(this) }) {
      count++;
      yield entry;
    }
    return undefined;
  };
  try {
    run();
  } finally {
    Map.prototype[Symbol.iterator] = entries;
  }
  return count;
}

test('a host that does not get what is reserved is not made slower by it', async () => {
  const host = new OneHost();
  for (let i = 0; i < 1_000; i++) host.add(i, i, i);
  await turn();
  expect(steps(() => host.acknowledge())).toBeGreaterThanOrEqual(1_000);
  host.provide({ ...NETWORK, removalsOnly: true });
  for (let i = 1_000; i < 20_000; i++) host.add(i, i, i & 0xffff);
  let most = 0;
  for (let i = 0; i < 1_000; i++) {
    host.remove(i);
    await turn();
    most = Math.max(
      most,
      steps(() => host.acknowledge()),
    );
  }
  expect(most).toBeLessThan(10);
  expect(host.table.size).toBe(0);
});
