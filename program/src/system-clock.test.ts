import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from './system-clock.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a timer runs once, when its delay is over', () => {
  const run = vi.fn();
  systemClock().after(1_000, run);
  vi.advanceTimersByTime(999);
  expect(run).not.toHaveBeenCalled();
  vi.advanceTimersByTime(10_000);
  expect(run).toHaveBeenCalledTimes(1);
});

test('a delay beyond what setTimeout holds is waited out, not cut to a millisecond', () => {
  const run = vi.fn();
  const days = 86_400_000;
  systemClock().after(90 * days, run);
  vi.advanceTimersByTime(90 * days - 1);
  expect(run).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(run).toHaveBeenCalledTimes(1);
});

test('a cancelled timer never runs, also after its first leg', () => {
  const run = vi.fn();
  const short = systemClock().after(1_000, run);
  const long = systemClock().after(2 ** 31 + 1_000, run);
  short.cancel();
  vi.advanceTimersByTime(2 ** 31 - 1);
  long.cancel();
  vi.advanceTimersByTime(10_000);
  expect(run).not.toHaveBeenCalled();
});

test('the monotonic clock handed in is the one that is read', () => {
  expect(systemClock(() => 42).now()).toBe(42);
});
