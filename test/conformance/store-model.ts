// A store in the plainest way, and the commands that a real one must answer alike.

import type { Ipv4 } from '@leasehold/proto/values';
import type { NetworkId, ReservationId, Revision } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import type { EndedTenure, Slot } from '@leasehold/server/domain/slot';
import type { Store } from '@leasehold/server/ports/store';
import fc from 'fast-check';
import { expect } from 'vitest';
import { address, collect, ended, mac, network, networkId, quarantined, reservation } from './documents.js';

const NETWORKS = ['a', 'a-b'];
const ADDRESSES = 5;
const MACS = 4;

interface Reopenable {
  readonly place: { open(): Promise<Store> };
  store: Store;
}

type Command = fc.AsyncCommand<StoreModel, Reopenable>;

/** What a store should hold. */
export class StoreModel {
  readonly networks = new Map<NetworkId, Network>();
  slots: readonly Slot[] = [];
  readonly history = new Map<ReservationId, EndedTenure>();
  /** Counts the tenures, so that each has an id of its own. */
  tenures = 0;

  at(id: NetworkId, where: Ipv4): Slot | undefined {
    return this.slots.find((slot) => slot.networkId === id && slot.address === where);
  }

  holder(slot: Slot): Slot | undefined {
    return this.slots.find(
      (each) =>
        each.networkId === slot.networkId &&
        each.mac === slot.mac &&
        each.state === 'reserved' &&
        each.address !== slot.address,
    );
  }

  set(slot: Slot): Slot {
    const written = { ...slot, revision: (slot.revision + 1) as Revision };
    this.drop(slot);
    this.slots = [...this.slots, written];
    return written;
  }

  drop(slot: Slot): void {
    this.slots = this.slots.filter((each) => each.networkId !== slot.networkId || each.address !== slot.address);
  }

  inOrder(): readonly Slot[] {
    return this.slots.toSorted((a, b) =>
      a.networkId < b.networkId ? -1 : a.networkId > b.networkId ? 1 : a.address - b.address,
    );
  }

  tenure(id: string, n: number, macNumber: number, revision = 0): Slot {
    const slot = reservation(id, n, macNumber, revision);
    const name = `${id}/${++this.tenures}`;
    const request = { caller: 'c', rpc: 'ReserveAddress', id: name, contentHash: 'h' } as const;
    return { ...slot, reservationId: name as ReservationId, request };
  }
}

/** A command that runs one step on both and then compares everything they hold. */
function command(name: string, step: (model: StoreModel, real: Reopenable) => Promise<void>): Command {
  return {
    check: () => true,
    toString: () => name,
    async run(model, real) {
      await step(model, real);
      await compare(model, real.store);
    },
  };
}

async function compare(model: StoreModel, store: Store): Promise<void> {
  const slots = model.inOrder();
  const snapshot = await store.snapshot();
  expect((await collect(snapshot.slots())).flat()).toEqual(slots);
  expect(await collect(snapshot.networks())).toEqual(
    [...model.networks.values()].sort((a, b) => (a.networkId < b.networkId ? -1 : 1)),
  );
  await snapshot.close();
  for (const id of NETWORKS.map(networkId)) {
    expect(await store.networks.get(id)).toEqual(model.networks.get(id));
    for (let n = 0; n < MACS; n++) {
      const expected = slots.filter((slot) => slot.networkId === id && slot.mac === mac(n));
      expect(await store.slots.findByMac(id, mac(n))).toEqual(expected);
    }
  }
  for (const tenure of [...slots, ...model.history.values()]) {
    if (tenure.request) expect(await store.slots.findByRequest(tenure.request)).toEqual(tenure);
  }
  for (const [id, tenure] of model.history) expect(await store.history.get(id)).toEqual(tenure);
}

function insert(id: string, n: number, macNumber: number): Command {
  return command(`insert(${id}, ${n}, mac ${macNumber})`, async (model, { store }) => {
    const slot = model.tenure(id, n, macNumber);
    const taken = model.at(slot.networkId, slot.address);
    const held = model.holder(slot);
    const answer = await store.slots.insert(slot);
    expect(answer.network).toEqual(model.networks.get(slot.networkId));
    if (taken) expect(answer.outcome).toEqual({ kind: 'taken', slot: taken });
    else if (held) expect(answer.outcome).toEqual({ kind: 'mac-holds', slot: held });
    else expect(answer.outcome).toEqual({ kind: 'inserted', slot: model.set(slot) });
  });
}

/** Releases, or with `late` tries to on a revision that has passed. */
function release(id: string, n: number, late: boolean): Command {
  return command(`release(${id}, ${n}${late ? ', late' : ''})`, async (model, { store }) => {
    const slot = model.at(networkId(id), address(n)) ?? reservation(id, n, 0);
    const released = quarantined({ ...slot, revision: (slot.revision - (late ? 1 : 0)) as Revision });
    const fits = model.slots.includes(slot) && !late;
    const expected = fits ? { kind: 'replaced', slot: model.set(released) } : { kind: 'conflict' };
    expect((await store.slots.replace(released)).outcome).toEqual(expected);
  });
}

function takeBack(id: string, n: number): Command {
  return command(`takeBack(${id}, ${n})`, async (model, { store }) => {
    const old = model.at(networkId(id), address(n));
    if (old?.state !== 'quarantined') return;
    const again = { ...model.tenure(id, n, 0, old.revision), mac: old.mac };
    const held = model.holder(again);
    const { outcome } = await store.slots.replace(again, ended(old));
    if (held) return expect(outcome).toEqual({ kind: 'mac-holds', slot: held });
    model.history.set(old.reservationId, ended(old));
    expect(outcome).toEqual({ kind: 'replaced', slot: model.set(again) });
  });
}

/** Frees, or with `late` tries to at a revision that has passed. */
function free(id: string, n: number, late: boolean): Command {
  return command(`free(${id}, ${n}${late ? ', late' : ''})`, async (model, { store }) => {
    const slot = model.at(networkId(id), address(n)) ?? reservation(id, n, 0);
    const fits = slot.state === 'quarantined' && !late;
    const revision = (slot.revision - (late ? 1 : 0)) as Revision;
    expect(await store.slots.free(ended(slot), revision)).toBe(fits ? 'freed' : 'conflict');
    if (!fits) return;
    model.history.set(slot.reservationId, ended(slot));
    model.drop(slot);
  });
}

function putNetwork(id: string, late: boolean): Command {
  return command(`putNetwork(${id}${late ? ', late' : ''})`, async (model, { store }) => {
    const revision = (model.networks.get(networkId(id))?.revision ?? 0) - (late ? 1 : 0);
    const answer = await store.networks.put(network(id, revision));
    if (late) return expect(answer).toBe('conflict');
    model.networks.set(networkId(id), network(id, revision + 1));
    expect(answer).toEqual(network(id, revision + 1));
  });
}

function removeNetwork(id: string): Command {
  return command(`removeNetwork(${id})`, async (model, { store }) => {
    const known = model.networks.get(networkId(id));
    const answer = await store.networks.remove(known ?? network(id, 1));
    expect(answer).toBe(known ? 'removed' : 'conflict');
    model.networks.delete(networkId(id));
  });
}

function reopen(): Command {
  return command('reopen', async (_, real) => {
    await real.store.close();
    real.store = await real.place.open();
  });
}

const id = fc.constantFrom(...NETWORKS);
const n = fc.nat(ADDRESSES - 1);
const seldom = fc.nat(4).map((each) => each === 0);

/** The commands, in proportions that fill and empty the few addresses there are. */
export const storeCommands: fc.Arbitrary<Command>[] = [
  fc.tuple(id, n, fc.nat(MACS - 1)).map((each) => insert(...each)),
  fc.tuple(id, n, fc.nat(MACS - 1)).map((each) => insert(...each)),
  fc.tuple(id, n, seldom).map((each) => release(...each)),
  fc.tuple(id, n, seldom).map((each) => release(...each)),
  fc.tuple(id, n).map((each) => takeBack(...each)),
  fc.tuple(id, n, seldom).map((each) => free(...each)),
  fc.tuple(id, seldom).map((each) => putNetwork(...each)),
  id.map(removeNetwork),
  fc.constant(reopen()),
];
