// A history of every kind of write a store knows, one step after another, and everything that can be seen of a store: so
// that what a kill leaves is compared with what was there before and after the step under way.
//
//   H1. A step is one durable write: afterwards all of it is there, or nothing. What it does at once shares that write.
//   H2. It runs in virtual time: run twice, it leaves the same.

import type { AuditEvent } from '@leasehold/server/domain/audit';
import type { ReservationId, WallTime } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import type { RequestKey, Slot } from '@leasehold/server/domain/slot';
import { type Position, PositionLostError, type Store } from '@leasehold/server/ports/store';
import {
  address,
  collect,
  ended,
  eventsOfAllKinds,
  host,
  mac,
  network,
  networkEvent,
  quarantined,
  reservation,
  subnet,
} from '../conformance/documents.js';
import type { VirtualClock } from '../fakes/virtual-clock.js';
import { eventually } from './eventually.js';

/** What a step works on. */
export interface HistoryStage {
  readonly store: Store;
  readonly clock: VirtualClock;
  /** Where the store stood before the first step. */
  readonly beginning: Position;
  /** Closes the store and opens it again. */
  reopen(): Promise<void>;
}

/** One step: rejects when the store does not do what it is for. */
export interface HistoryStep {
  readonly name: string;
  readonly run: (stage: HistoryStage) => Promise<void>;
}

const HOURS_MS = 3_600_000;
const ALWAYS = 2_000_000_000_000 as WallTime;
// More than fit on one page of the disk, so that pages are split and merged.
const MANY = span(100, 60);
const FEW = span(20, 8);
const [FIRST = 0, SECOND = 0] = FEW;

const RESERVED = request('ReserveAddress', 'reserved');
const RELEASED = request('ReleaseAddress', 'released');
const RETURNED = request('ReserveAddress', 'returned');
const RED = network('red').networkId;

/** The history. */
export const STORE_HISTORY: readonly HistoryStep[] = [
  step('a network', ({ store }) => put(store, { ...network('red'), subnets: [subnet('s1')] })),
  step('another network', ({ store }) => put(store, network('blue'))),
  step('a network changes', ({ store }) => change(store, { ipamEnabled: false })),
  step('a host', ({ store }) => putHost(store, 'h1', 0)),
  step('another host', ({ store }) => putHost(store, 'h2', 0)),
  step('a reservation', ({ store }) => insert(store, { ...made(1), request: RESERVED })),
  step('its labels change', async ({ store }) => replace(store, { ...(await slotOf(store, 1)), labels: { a: 'b' } })),
  step('several reservations at once', ({ store }) => Promise.all(FEW.map((n) => insert(store, made(n))))),
  step('a release', async ({ store }) => {
    await replace(store, { ...quarantined(await slotOf(store, 1)), releaseRequest: RELEASED });
  }),
  step('its MAC returns', async ({ store }) => {
    const resting = await slotOf(store, 1);
    const returned = { ...again(made(1)), request: RETURNED, revision: resting.revision };
    expectKind('replaced', (await store.slots.replace(returned, ended(resting))).outcome.kind);
  }),
  step('it is released again', async ({ store }) => release(store, 1)),
  step('several releases at once', ({ store }) => Promise.all(FEW.map((n) => release(store, n)))),
  step('its address is free', ({ store }) => free(store, 1)),
  step('everything at once', ({ store }) =>
    Promise.all([
      free(store, FIRST),
      free(store, SECOND),
      insert(store, made(2)),
      putHost(store, 'h3', 0),
      change(store, { dhcpServerCount: 2 }),
    ]),
  ),
  step('another MAC has the address', ({ store }) => insert(store, { ...again(again(made(1))), mac: mac(77) })),
  step('history is pruned in part', async ({ store }) => expectKind(1, await store.history.prune(ALWAYS, 1))),
  step('a host changes', ({ store }) => putHost(store, 'h1', 1)),
  step('somebody changes a network', async ({ store }) => {
    const before = await store.networks.get(RED);
    const event = networkEvent('red', before?.revision);
    const outcome = before && (await store.networks.put({ ...before, displayName: 'theirs' }, undefined, event));
    expectKind('object', typeof outcome);
  }),
  step('somebody changes a reservation', async ({ store }) => {
    const [, , , , , event] = eventsOfAllKinds();
    const amended = { ...(await slotOf(store, 1)), hostname: 'theirs' };
    expectKind('object', typeof (await store.slots.amend(amended, event as AuditEvent)));
  }),
  step('somebody forgets a host', async ({ store }) => {
    const [, , , , event] = eventsOfAllKinds();
    expectKind('removed', await store.hosts.remove(host('h3', 1), event));
  }),
  step('the oldest audit event is forgotten', async ({ store }) => {
    expectKind(1, await store.audit.prune(ALWAYS, 1));
  }),
  step('a host goes', async ({ store }) => {
    expectKind('removed', await store.hosts.remove(host('h2', 1)));
  }),
  step('a network goes', async ({ store }) => {
    expectKind('removed', await store.networks.remove(network('blue', 1)));
  }),
  step('the server starts anew', ({ reopen }) => reopen()),
  step('many reservations at once', ({ store }) => Promise.all(MANY.map((n) => insert(store, made(n))))),
  step('many releases at once', ({ store }) => Promise.all(MANY.map((n) => release(store, n)))),
  step('many addresses are free at once', ({ store }) => Promise.all(MANY.map((n) => free(store, n)))),
  step('old changes are forgotten', async ({ store, clock, beginning }) => {
    clock.jump(2 * HOURS_MS);
    await clock.advance(0);
    await eventually('the log is pruned', async () => (await changesAfter(store, beginning)) === 'lost');
    // They are forgotten before that is durable; a write that changes nothing is answered after what was written before.
    expectKind('conflict', await store.hosts.remove(host('none', 1)));
  }),
  step('history is pruned', async ({ store }) => expectKind(MANY.length + 3, await store.history.prune(ALWAYS, 1_000))),
  step('the server starts once more', ({ reopen }) => reopen()),
  step('a last reservation', ({ store }) => insert(store, made(3))),
];

/** What was seen of a store after a step. */
export interface SeenState {
  /** Under which epoch it was open. */
  readonly epoch: number;
  /** Positions whose later changes are in the state. */
  readonly after: readonly Position[];
  readonly state: unknown;
}

/** Everything that can be seen of a store, as JSON has it; with the changes after some positions. */
export async function stateOf(store: Store, after: readonly Position[]): Promise<unknown> {
  const { networks, hosts, slots, history, audit, settings } = store;
  const tenures = [1, 2, 3, ...FEW, ...MANY].map(made).flatMap((slot) => [slot, again(slot), again(again(slot))]);
  const macs = [...new Set([mac(77), ...tenures.map((tenure) => tenure.mac)])];
  const snapshot = await store.snapshot();
  try {
    const state = {
      settings,
      position: snapshot.position,
      networks: await collect(snapshot.networks()),
      hosts: await collect(snapshot.hosts()),
      slots: (await collect(snapshot.slots())).flat(),
      summaries: (await collect(snapshot.summaries())).flat(),
      red: [await networks.get(RED), await networks.findBySubnet(subnet('s1').subnetId)],
      h1: await hosts.get(host('h1').hostId),
      count: await slots.count(RED, address(0), address(255)),
      listed: await slots.list({ owner: made(1).owner }, undefined, 1_000),
      ofMacs: await Promise.all(macs.map((each) => slots.findByMac(RED, each))),
      ofRequests: await Promise.all([RESERVED, RELEASED, RETURNED].map((each) => slots.findByRequest(each))),
      ended: await Promise.all(tenures.map(({ reservationId }) => history.get(reservationId))),
      pastOfAddress: await history.list({ place: { subnetId: made(1).subnetId, address: address(1) } }, undefined, 99),
      pastOfOwner: await history.list({ owner: made(1).owner }, undefined, 1_000),
      pastOfMacs: await Promise.all(macs.map((each) => history.list({ mac: each }, undefined, 99))),
      begun: await history.newest({ moment: 'createTime' }, undefined, 1_000),
      released: await history.newest({ moment: 'releaseTime' }, undefined, 1_000),
      audit: await audit.list({}, undefined, 1_000),
      changes: await Promise.all(after.map((position) => changesAfter(store, position))),
    };
    return JSON.parse(JSON.stringify(state));
  } finally {
    await snapshot.close();
  }
}

function step(name: string, run: (stage: HistoryStage) => Promise<unknown>): HistoryStep {
  return { name, run: async (stage) => void (await run(stage)) };
}

function span(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

function request(rpc: RequestKey['rpc'], id: string): RequestKey {
  return { caller: 'c', rpc, id, contentHash: `h-${id}` };
}

/** The first tenure of an address. */
function made(n: number): Slot {
  return reservation('red', n, n);
}

/** The next tenure of the same address. */
function again(slot: Slot): Slot {
  return { ...slot, reservationId: `${slot.reservationId}/again` as ReservationId };
}

async function slotOf(store: Store, n: number): Promise<Slot> {
  const slot = await store.slots.get(RED, address(n));
  if (!slot) throw new Error(`Nothing is at address ${n}`);
  return slot;
}

async function put(store: Store, written: Network): Promise<void> {
  const outcome = await store.networks.put(written);
  if (typeof outcome === 'string') throw new Error(`Network ${written.networkId}: ${outcome}`);
}

async function change(store: Store, patch: Partial<Network>): Promise<void> {
  const before = await store.networks.get(RED);
  if (before) await put(store, { ...before, ...patch });
}

async function putHost(store: Store, id: string, revision: number): Promise<void> {
  const outcome = await store.hosts.put({ ...host(id, revision), maintenance: revision > 0 });
  if (typeof outcome === 'string') throw new Error(`Host ${id}: ${outcome}`);
}

async function insert(store: Store, slot: Slot): Promise<void> {
  expectKind('inserted', (await store.slots.insert(slot)).outcome.kind);
}

async function replace(store: Store, slot: Slot): Promise<void> {
  expectKind('replaced', (await store.slots.replace(slot)).outcome.kind);
}

async function release(store: Store, n: number): Promise<void> {
  await replace(store, quarantined(await slotOf(store, n)));
}

async function free(store: Store, n: number): Promise<void> {
  const slot = await slotOf(store, n);
  expectKind('freed', await store.slots.free(ended(slot), slot.revision));
}

function expectKind(expected: string | number, outcome: string | number): void {
  if (outcome !== expected) throw new Error(`It came to ${outcome}, not to ${expected}`);
}

async function changesAfter(store: Store, position: Position): Promise<unknown> {
  try {
    return (await collect(store.changesAfter(position))).flat();
  } catch (error) {
    if (error instanceof PositionLostError) return 'lost';
    throw error;
  }
}
