// A program that writes to an embedded store and says what it tries and what was acknowledged, to be killed at any time.
//
// `store-writer.js DIRECTORY ADDRESSES STEPS`: on each of ADDRESSES addresses at once it goes round insert, release,
// free, and stops after STEPS steps on each. `try A S` is printed before step S on address A begins, `ack A S` after
// its promise resolved; both synchronously, so that nothing printed is ever lost.

import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { systemClock } from '@leasehold/program/system-clock';
import { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import type { Slot } from '@leasehold/server/domain/slot';
import type { Store } from '@leasehold/server/ports/store';
import { ended, network, quarantined } from '../conformance/documents.js';
import { addressOf, stepOf, tenureOf } from './store-steps.js';

const say = (line: string) => writeSync(1, `${line}\n`);

async function main(directory: string, addresses: number, steps: number): Promise<void> {
  const entropy = { random: Math.random, bytes: (length: number) => randomBytes(length) };
  const broken = (error: unknown) => {
    say(`fatal ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  };
  const store = await openEmbeddedStore(directory, {
    clock: systemClock(),
    entropy,
    onFatal: broken,
    onDefect: broken,
  });
  await store.networks.put(network('red'));
  say('ready');
  await Promise.all(Array.from({ length: addresses }, (_, n) => goRound(store, n, steps)));
  await store.close();
  say('done');
}

async function goRound(store: Store, n: number, steps: number): Promise<void> {
  const { networkId, address } = addressOf(n);
  let slot = await store.slots.get(networkId, address);
  let step = slot ? stepOf(slot) + 1 : await firstFreeStep(store, n);
  for (const end = step + steps; step < end; step++) {
    say(`try ${n} ${step}`);
    slot = await take(store, n, step, slot);
    say(`ack ${n} ${step}`);
  }
}

async function take(store: Store, n: number, step: number, slot: Slot | undefined): Promise<Slot | undefined> {
  if (!slot) {
    const { outcome } = await store.slots.insert(tenureOf(n, step));
    if (outcome.kind !== 'inserted') throw new Error(`Insert: ${outcome.kind}`);
    return outcome.slot;
  }
  if (slot.state === 'quarantined') {
    const freed = await store.slots.free(ended(slot), slot.revision);
    if (freed !== 'freed') throw new Error(`Free: ${freed}`);
    return undefined;
  }
  const { outcome } = await store.slots.replace(quarantined(slot));
  if (outcome.kind !== 'replaced') throw new Error(`Release: ${outcome.kind}`);
  return outcome.slot;
}

/** The step after the last one that ended a tenure of an address. */
async function firstFreeStep(store: Store, n: number): Promise<number> {
  let step = 0;
  while (await store.history.get(tenureOf(n, step).reservationId)) step += 3;
  return step;
}

const [directory = '', addresses, steps] = process.argv.slice(2);
await main(directory, Number(addresses), Number(steps));
