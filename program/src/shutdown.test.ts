import { expect, test } from 'vitest';
import type { Clock } from './clock.js';
import { createLog } from './log.js';
import { drainOnSignal } from './shutdown.js';

function start(drain: () => Promise<void>) {
  const listeners = new Map<string, (signal: string) => void>();
  const exits: number[] = [];
  const lines: string[] = [];
  const timers: { delayMs: number; run: () => void }[] = [];
  const clock: Clock = {
    now: () => 0,
    wallTime: () => new Date(0),
    after(delayMs, run) {
      timers.push({ delayMs, run });
      return { cancel: () => undefined };
    },
  };
  const log = createLog({ level: 'info', format: 'json', sink: { write: (line) => lines.push(line) } });
  const process = {
    on: (signal: string, listener: (signal: string) => void) => listeners.set(signal, listener),
    exit: (code: number) => void exits.push(code),
  };
  drainOnSignal(process, { clock, log, drain });
  return { exits, timers, signal: (name: string) => listeners.get(name)?.(name), log: () => lines.join('') };
}

/** Lets every settled promise's reactions run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('a drained program exits 0', async () => {
  const program = start(async () => undefined);
  program.signal('SIGTERM');
  expect(program.exits).toEqual([]);
  await settled();
  expect(program.exits).toEqual([0]);
});

test('a second signal exits at once and does not drain again', async () => {
  let drains = 0;
  const program = start(() => {
    drains++;
    return new Promise(() => undefined);
  });
  program.signal('SIGINT');
  program.signal('SIGTERM');
  expect(program.exits).toEqual([1]);
  expect(drains).toBe(1);
});

test('a drain that hangs ends in exit 1 within 10 s, with a line', () => {
  const program = start(() => new Promise(() => undefined));
  program.signal('SIGTERM');
  expect(program.timers[0]?.delayMs).toBeLessThan(10_000);
  program.timers[0]?.run();
  expect(program.exits).toEqual([1]);
  expect(program.log()).toContain('Not drained in time');
});

test('a drain that fails ends in exit 1, with its error', async () => {
  const program = start(async () => {
    throw new Error('no disk');
  });
  program.signal('SIGTERM');
  await settled();
  expect(program.exits).toEqual([1]);
  expect(program.log()).toContain('no disk');
});
