import { expect, test } from 'vitest';
import { VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import { WaitingHellos } from './waiting-hellos.js';

function start() {
  const clock = new VirtualClock(0);
  const world = { isKnown: false, wentOnMs: [] as number[] };
  const waiting = new WaitingHellos(clock);
  const come = (entries = 1, isOpen = () => true) =>
    void waiting.wait(entries, isOpen, () => world.isKnown).then(() => void world.wentOnMs.push(clock.now()));
  return { clock, world, come };
}

test('hellos wait until it is known who leads, and go on a hundred at a time', async () => {
  const { clock, world, come } = start();
  for (let i = 0; i < 250; i++) come();
  await clock.advance(5_000);
  expect(world.wentOnMs).toEqual([]);
  world.isKnown = true;
  await clock.advance(100);
  expect(world.wentOnMs).toHaveLength(100);
  await clock.advance(200);
  expect(world.wentOnMs).toHaveLength(250);
});

test('none waits longer than ten seconds, or after its stream ended', async () => {
  const { clock, world, come } = start();
  let isOpen = true;
  come(1, () => isOpen);
  come();
  await clock.advance(3_000);
  isOpen = false;
  await clock.advance(7_000);
  expect(world.wentOnMs).toEqual([3_100, 10_000]);
});

test('a thousand wait, with a hundred thousand entries at the most; others go on at once', async () => {
  const { clock, world, come } = start();
  for (let i = 0; i < 1_001; i++) come();
  await clock.advance(0);
  expect(world.wentOnMs).toHaveLength(1);
  const big = start();
  for (let i = 0; i < 11; i++) big.come(10_000);
  await big.clock.advance(0);
  expect(big.world.wentOnMs).toHaveLength(1);
});
