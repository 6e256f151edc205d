// Loaded into a program before anything else (`node --import`): its wall clock is off by what a file says, in milliseconds,
// and follows the file. What counts spans (the monotonic clocks, timers) is untouched, as when an operator sets the clock.

import { readFileSync } from 'node:fs';
import { OFFSET_FILE_VARIABLE } from './wall-clock.js';

const LOOK_EVERY_MS = 20;
const path = process.env[OFFSET_FILE_VARIABLE] ?? '';
const Unshifted = globalThis.Date;
let offsetMs = 0;
let lookedAt = Number.NEGATIVE_INFINITY;

function now(): number {
  if (performance.now() - lookedAt > LOOK_EVERY_MS) {
    lookedAt = performance.now();
    offsetMs = Number(readFileSync(path, 'utf8'));
  }
  return Unshifted.now() + offsetMs;
}

globalThis.Date = new Proxy(Unshifted, {
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as object,
  apply: () => new Unshifted(now()).toString(),
  get: (target, name, receiver) => (name === 'now' ? now : (Reflect.get(target, name, receiver) as unknown)),
});
