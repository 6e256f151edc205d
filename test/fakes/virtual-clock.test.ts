import { delay } from '@leasehold/program/clock';
import { describe, expect, test } from 'vitest';
import { VirtualClock } from './virtual-clock.js';

describe('VirtualClock', () => {
  test('timers run in the order they fall due, not in the order they were set', async () => {
    const clock = new VirtualClock(0);
    const ran: string[] = [];
    for (const due of [50, 10, 40, 20, 30, 10]) clock.after(due, () => ran.push(`${due}@${clock.now()}`));
    await clock.advance(45);
    expect(ran).toEqual(['10@10', '10@10', '20@20', '30@30', '40@40']);
    expect(clock.now()).toBe(45);
  });

  test('timers of one instant run in the order they were set', async () => {
    const clock = new VirtualClock(0);
    const ran: number[] = [];
    for (let i = 0; i < 20; i++) clock.after(5, () => ran.push(i));
    await clock.advance(5);
    expect(ran).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test('a cancelled timer does not run', async () => {
    const clock = new VirtualClock();
    let ran = false;
    clock.after(5, () => (ran = true)).cancel();
    await clock.advance(10);
    expect(ran).toBe(false);
    expect(clock.nextDue()).toBeUndefined();
  });

  test('what awaits a delay sees every instant between', async () => {
    const clock = new VirtualClock(0);
    const seen: number[] = [];
    const loop = (async () => {
      for (let i = 0; i < 3; i++) {
        await delay(clock, 10);
        seen.push(clock.now());
      }
    })();
    await clock.advance(100);
    await loop;
    expect(seen).toEqual([10, 20, 30]);
  });

  test('wall time moves with the clock', async () => {
    const clock = new VirtualClock(7, new Date(0));
    await clock.advance(1_500);
    expect(clock.wallTime().getTime()).toBe(1_500);
  });

  test('after a jump, timers that fell due run late and time does not go back', async () => {
    const clock = new VirtualClock(0);
    const ran: number[] = [];
    clock.after(10, () => ran.push(clock.now()));
    clock.jump(100);
    expect(ran).toEqual([]);
    await clock.advance(0);
    expect(ran).toEqual([100]);
  });
});
