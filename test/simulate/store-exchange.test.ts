// The promises that servers rely on when a write of theirs is lost.

import { OutcomeUnknownError, StoreUnavailableError } from '@leasehold/server/ports/store';
import { beforeEach, expect, test } from 'vitest';
import { Network } from './network.js';
import { Machine, type VirtualProcess } from './node.js';
import { Seeded } from './seeded.js';
import { StoreExchange, type StoreTrouble } from './store-exchange.js';
import { World } from './world.js';

let world: World;
let network: Network;
let process: VirtualProcess;
let trouble: StoreTrouble;
let exchange: StoreExchange;
let done: number;

beforeEach(() => {
  world = new World();
  network = new Network(world, new Seeded(1), { usualMs: 5, slowShare: 0, slowMs: 5 });
  process = new Machine(world, 'server', 0).start();
  trouble = { brokenShare: 0, lateShare: 0 };
  exchange = new StoreExchange(process, { network, machine: new Machine(world, 'store', 0), trouble }, new Seeded(2));
  done = 0;
});

async function outcomeOf(write: Promise<unknown>, ms: number): Promise<unknown> {
  let outcome: unknown = 'under way';
  write.then(
    (value) => {
      outcome = value;
    },
    (error: unknown) => {
      outcome = error;
    },
  );
  await world.runUntil(world.nowMs + ms, () => true);
  return outcome;
}

const write = () => exchange.write(async (attempt) => [++done, attempt]);

test('a write is answered after two ways', async () => {
  expect(await outcomeOf(write(), 20)).toEqual([1, 1]);
});

test('one whose answer is lost is repeated until it is known', async () => {
  network.cut('store', 'server');
  const writing = write();
  expect(await outcomeOf(writing, 1_000)).toBe('under way');
  expect(done).toBe(1);
  network.heal('store', 'server');
  expect(await outcomeOf(writing, 9_000)).toEqual([2, 2]);
});

test('one whose outcome is not known for 20 s says so', async () => {
  network.cut('store', 'server');
  expect(await outcomeOf(write(), 30_000)).toBeInstanceOf(OutcomeUnknownError);
  expect(done).toBeGreaterThan(0);
});

test('one that finds no way to the store was certainly not done', async () => {
  network.cut('server', 'store');
  await world.runUntil(5_000, () => true);
  const outcome = await outcomeOf(write(), 60_000);
  expect(outcome).toBeInstanceOf(StoreUnavailableError);
  expect(outcome).not.toBeInstanceOf(OutcomeUnknownError);
  expect(done).toBe(0);
  expect(exchange.health.breaker).not.toBe('closed');
  network.heal('server', 'store');
  await world.runUntil(world.nowMs + 10_000, () => true);
  expect(await outcomeOf(write(), 100)).toEqual([1, 1]);
});

test('what was believed lost may be carried out beside its repetition', async () => {
  Object.assign(trouble, { brokenShare: 1, lateShare: 1 });
  const writing = write();
  await world.runUntil(49, () => true);
  trouble.brokenShare = 0;
  const [, attempt] = (await outcomeOf(writing, 10_000)) as readonly [number, number];
  expect(attempt).toBe(2);
  expect(done).toBe(2);
});
