// What the breaker makes of failures, and what it keeps.

import type CircuitBreaker from 'opossum';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { opossumBreaker } from './opossum-breaker.js';

const made: CircuitBreaker[] = [];

vi.mock(import('opossum'), async (original) => {
  const { default: Original } = await original();
  class Recorded extends Original {
    constructor(...args: ConstructorParameters<typeof Original>) {
      super(...args);
      made.push(this);
    }
  }
  return { default: Recorded as typeof Original };
});

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const fails = () => Promise.reject(new Error('no'));

describe('the breaker', () => {
  test('opens after three failures, tries again after 10 s, and closes when that went well', async () => {
    let changes = 0;
    const breaker = opossumBreaker('h1', () => changes++);
    for (let i = 0; i < 3; i++) await expect(breaker.run(fails)).rejects.toThrow('no');
    expect(breaker.state).toBe('open');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(breaker.state).toBe('half-open');
    await breaker.run(async () => undefined);
    expect([breaker.state, changes]).toEqual(['closed', 3]);
    breaker.close();
  });

  test('opens when it is told to, and then lets one call try', async () => {
    const breaker = opossumBreaker('store', () => undefined);
    breaker.open();
    await expect(breaker.run(async () => undefined)).rejects.toThrow(/^Breaker is open/);
    await vi.advanceTimersByTimeAsync(10_000);
    let end = (): void => undefined;
    const trying = breaker.run(() => new Promise((resolve) => (end = resolve)));
    await expect(breaker.run(async () => undefined)).rejects.toThrow(/^Breaker is open/);
    end();
    await trying;
    expect(breaker.state).toBe('closed');
    breaker.close();
  });

  test('keeps no duration of a call', async () => {
    const breaker = opossumBreaker('h1', () => undefined);
    for (let i = 0; i < 100; i++) await breaker.run(async () => undefined);
    const { successes, latencyTimes } = made.at(-1)?.stats ?? {};
    expect([successes, latencyTimes]).toEqual([100, []]);
    breaker.close();
  });

  test('leaves no timer behind when it is closed', async () => {
    const breaker = opossumBreaker('h1', () => undefined);
    for (let i = 0; i < 3; i++) await expect(breaker.run(fails)).rejects.toThrow('no');
    breaker.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
