import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../test/fakes/virtual-clock.js';
import { RunningClock } from './running-clock.js';

const HOUR_MS = 3_600_000;

function clocks() {
  const base = new VirtualClock();
  return { base, clock: new RunningClock(base), told: [] as string[] };
}

describe('a clock that runs', () => {
  test('goes as its base does, and runs what falls due', async () => {
    const { base, clock, told } = clocks();
    const beginMs = clock.now();
    clock.after(200, () => told.push(`second at ${clock.now() - beginMs}`));
    clock.after(100, () => told.push(`first at ${clock.now() - beginMs}`));
    clock.after(150, () => told.push('cancelled')).cancel();
    await base.advance(150);
    expect(told).toEqual(['first at 100']);
    await base.advance(150);
    expect(told).toEqual(['first at 100', 'second at 200']);
    expect(clock.now() - beginMs).toBe(300);
  });

  test('put forward, runs what falls due on the way at its own time, also what that sets', async () => {
    const { base, clock, told } = clocks();
    const [beginMs, began] = [clock.now(), clock.wallTime().getTime()];
    const beat = () => {
      told.push(`${clock.now() - beginMs}`);
      clock.after(HOUR_MS / 4, beat);
    };
    clock.after(HOUR_MS / 4, beat);
    await clock.advance(HOUR_MS);
    expect(told).toEqual(['900000', '1800000', '2700000', '3600000']);
    expect(clock.wallTime().getTime() - began).toBe(HOUR_MS);
    await base.advance(HOUR_MS / 4);
    expect(told.at(-1)).toBe('4500000');
  });

  test('put forward twice at once, goes one way after the other', async () => {
    const { clock } = clocks();
    const beginMs = clock.now();
    await Promise.all([clock.advance(100), clock.advance(1_000)]);
    expect(clock.now() - beginMs).toBe(1_100);
  });

  test('stopped, runs nothing any more', async () => {
    const { base, clock, told } = clocks();
    clock.after(100, () => told.push('run'));
    clock.stop();
    await base.advance(1_000);
    await clock.advance(1_000);
    expect(told).toEqual([]);
  });
});
