import { beforeEach, expect, test } from 'vitest';
import { Network } from './network.js';
import { Machine } from './node.js';
import { Seeded } from './seeded.js';
import { World } from './world.js';

let world: World;
let network: Network;
let a: Machine;
let b: Machine;

beforeEach(() => {
  world = new World();
  network = new Network(world, new Seeded(1), { usualMs: 5, slowShare: 0.2, slowMs: 300 });
  a = new Machine(world, 'a', 0);
  b = new Machine(world, 'b', 0);
});

async function pass(ms: number): Promise<void> {
  await world.runUntil(world.nowMs + ms, () => true);
}

test('a packet on a way that is cut when it arrives is lost, the other way is whole', async () => {
  const arrived: string[] = [];
  network.send(a, b, () => arrived.push('lost'));
  network.cut('a', 'b');
  network.send(b, a, () => arrived.push('back'));
  await pass(1_000);
  network.heal('a', 'b');
  await pass(10_000);
  expect(arrived).toEqual(['back']);
});

test('a lane delivers in order whatever each takes, and what a cut held up once the way is whole', async () => {
  const lane = network.lane(a, b);
  const arrived: number[] = [];
  for (let i = 0; i < 50; i++) lane.push(() => arrived.push(i));
  await pass(1_000);
  network.cut('a', 'b');
  for (let i = 50; i < 60; i++) lane.push(() => arrived.push(i));
  await pass(60_000);
  expect(arrived).toHaveLength(50);
  network.heal('a', 'b');
  lane.push(() => arrived.push(60));
  await pass(5_000);
  expect(arrived).toEqual(Array.from({ length: 61 }, (_, i) => i));
});

test('a lane that is closed loses what is on its way', async () => {
  const lane = network.lane(a, b);
  const arrived: number[] = [];
  lane.push(() => arrived.push(1));
  lane.close();
  lane.push(() => arrived.push(2));
  await pass(1_000);
  expect(arrived).toEqual([]);
});
