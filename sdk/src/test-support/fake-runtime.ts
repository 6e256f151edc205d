// Time and chance that the test holds: waits are over at once and recorded. Not published.

import { type Runtime, system } from '../system.js';

/** A runtime whose waits are over at once. */
export interface FakeRuntime extends Runtime {
  /** Every wait, in milliseconds, in order. */
  readonly waits: readonly number[];
}

/** Makes a runtime; `onWait` runs in each wait, before it is over. */
export function fakeRuntime(env: Record<string, string> = {}, onWait: () => void = () => {}): FakeRuntime {
  const waits: number[] = [];
  let ids = 0;
  return {
    env,
    waits,
    monotonicMs: () => waits.reduce((sum, wait) => sum + wait, 0),
    // gRPC itself compares deadlines with the wall clock.
    wallMs: () => Date.now(),
    async wait(delayMs) {
      waits.push(delayMs);
      onWait();
    },
    // As the deadlines of gRPC.
    after: system.after,
    atTurnEnd: (work) => void setImmediate(work),
    random: () => 0.5,
    requestId: () => `request-${++ids}`,
  };
}
