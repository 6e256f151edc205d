import { expect, test } from 'vitest';
import { VirtualClock } from '../fakes/virtual-clock.js';
import { MachineClock, ProcessClock } from './machine.js';

test('a clock that is fast is ahead, and its timers run early by the world and on time by itself', async () => {
  const world = new VirtualClock();
  const machine = new MachineClock(world, 1.01, 500);
  const ran: number[] = [];
  machine.after(10_100, () => ran.push(machine.now()));
  await world.advance(9_999);
  expect(ran).toEqual([]);
  await world.advance(2);
  expect(ran[0]).toBeCloseTo(10_600, 3);
});

test('no timer runs before its time by the clock that set it', async () => {
  const world = new VirtualClock();
  for (const rate of [0.99, 0.995, 1.003, 1.01]) {
    const machine = new MachineClock(world, rate);
    for (let ms = 0.1; ms < 1_000; ms *= 1.3) {
      const dueMs = machine.now() + ms;
      machine.after(ms, () => expect(machine.now()).toBeGreaterThanOrEqual(dueMs));
    }
    await world.advance(2_000);
  }
});

test('of a process that stands still nothing runs; then all of it does, in the order in which it came, and time passed', async () => {
  const world = new VirtualClock();
  const process = new ProcessClock(new MachineClock(world));
  const ran: string[] = [];
  const begunMs = process.now();
  process.after(20, () => ran.push(`timer at ${Math.round(process.now() - begunMs)}`));
  process.stall();
  await world.advance(10);
  process.arrive(() => ran.push('message'));
  await world.advance(1_000);
  expect(ran).toEqual([]);
  process.resume();
  await world.advance(1);
  expect(ran).toEqual(['message', 'timer at 1010']);
});

test('a timer that was unset while it stood still does not run', async () => {
  const world = new VirtualClock();
  const process = new ProcessClock(new MachineClock(world));
  let hasRun = false;
  const timer = process.after(20, () => (hasRun = true));
  process.arrive(() => undefined);
  process.stall();
  await world.advance(100);
  process.resume();
  timer.cancel();
  await world.advance(1);
  expect(hasRun).toBe(false);
});

test('of a process that was killed nothing runs, whatever was due', async () => {
  const world = new VirtualClock();
  const process = new ProcessClock(new MachineClock(world));
  const ran: string[] = [];
  process.after(20, () => ran.push('timer'));
  process.stall();
  process.arrive(() => ran.push('message'));
  process.kill();
  process.resume();
  process.arrive(() => ran.push('later'));
  await world.advance(100);
  expect(ran).toEqual([]);
});
