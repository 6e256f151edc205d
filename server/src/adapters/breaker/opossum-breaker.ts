// The breaker on opossum.

import CircuitBreaker from 'opossum';
import type { Breaker, BreakerPatience, BreakerState } from '../../ports/breaker.js';

// opossum opens on the first failed call unless it is told how many calls make a verdict.
const VOLUME_THRESHOLD = 3;
const ERROR_PERCENTAGE = 50;
const PATIENCE: BreakerPatience = { windowMs: 10_000, resetMs: 10_000 };

/** Makes a breaker that opens when at least three calls of its window failed, half of them or more. */
export function opossumBreaker(name: string, onChange: () => void, { windowMs, resetMs } = PATIENCE): Breaker {
  const breaker = new CircuitBreaker((work: () => Promise<void>) => work(), {
    name,
    timeout: false,
    volumeThreshold: VOLUME_THRESHOLD,
    errorThresholdPercentage: ERROR_PERCENTAGE,
    rollingCountTimeout: windowMs,
    resetTimeout: resetMs,
    // Nobody reads them, and they keep and sort the duration of every call, for every host.
    rollingPercentilesEnabled: false,
    // Once a second of every host, for nobody.
    enableSnapshots: false,
  });
  breaker.on('open', onChange);
  breaker.on('halfOpen', onChange);
  breaker.on('close', onChange);
  return {
    get state(): BreakerState {
      if (breaker.halfOpen) return 'half-open';
      return breaker.opened ? 'open' : 'closed';
    },
    run: (work) => breaker.fire(work),
    open: () => breaker.open(),
    close: () => breaker.shutdown(),
  };
}
