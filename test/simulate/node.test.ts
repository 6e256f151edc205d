import { expect, test } from 'vitest';
import { Machine } from './node.js';
import { World } from './world.js';

async function pass(world: World, ms: number): Promise<void> {
  await world.runUntil(world.nowMs + ms, () => true);
}

test('of a process that was killed nothing runs: no timer, nothing that arrives, nothing that waited for them', async () => {
  const world = new World();
  const process = new Machine(world, 'a', 0).start();
  const ran: string[] = [];
  process.after(10, () => ran.push('timer'));
  world.after(10, () => process.arrive(() => ran.push('message')));
  void new Promise<void>((resolve) => process.after(5, resolve)).then(() => ran.push('before'));
  void new Promise<void>((resolve) => process.after(10, resolve)).then(() => ran.push('after'));
  await pass(world, 7);
  process.kill();
  await pass(world, 100);
  expect(ran).toEqual(['before']);
});

test('a process that stands still does everything late, in order, but what was cancelled, and its clock went on', async () => {
  const world = new World();
  const process = new Machine(world, 'a', 0).start();
  const ran: string[] = [];
  const second = process.after(30, () => ran.push('second'));
  process.after(20, () => {
    ran.push(`first at ${process.now()}`);
    second.cancel();
  });
  process.after(300, () => ran.push('third'));
  process.stall();
  world.after(25, () => process.arrive(() => ran.push('message')));
  await pass(world, 100);
  expect(ran).toEqual([]);
  process.resume();
  await pass(world, 0);
  expect(ran).toEqual(['first at 100', 'message']);
  await pass(world, 200);
  expect(ran.at(-1)).toBe('third');
});

test('a clock goes wrong by its drift, and anew with every boot', async () => {
  const world = new World();
  const machine = new Machine(world, 'a', 0.01);
  const ran: number[] = [];
  machine.start().after(1_010, () => ran.push(world.nowMs));
  await pass(world, 2_000);
  expect(ran).toEqual([1_000]);
  expect(machine.now()).toBeCloseTo(2_020);
  machine.powerOff();
  await pass(world, 500);
  machine.boot();
  await pass(world, 100);
  expect(machine.now()).toBeCloseTo(101);
  expect(machine.bootId).toBe('a-boot-2');
});
