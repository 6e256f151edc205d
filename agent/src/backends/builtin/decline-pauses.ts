// How long a guest that declines its address waits for the next OFFER: it would get the same address, and decline it
// again, as fast as it can.
//
//   P1. Every DECLINE doubles the wait, from 1 s to 8 s; ten minutes without one, and it is forgotten. No longer: a DECLINE
//       is easily forged, and must not keep somebody else's guest from its address.
//   P2. What is remembered is bounded: when it is too much, all of it is forgotten.

import type { Mac } from '@leasehold/proto/values';

const FIRST_MS = 1_000;
const MOST_DOUBLINGS = 3;
/** How long a DECLINE is remembered. */
export const DECLINE_FORGOTTEN_AFTER_MS = 600_000;
const MAX_REMEMBERED = 1_000;

/** See the top of the file. */
export class DeclinePauses {
  readonly #declined = new Map<Mac, { readonly times: number; readonly lastMs: number }>();

  /** A guest declined its address. */
  declined(mac: Mac, nowMs: number): void {
    const times = this.#times(mac, nowMs) + 1;
    if (this.#declined.size >= MAX_REMEMBERED) this.#declined.clear();
    this.#declined.set(mac, { times, lastMs: nowMs });
  }

  /** How long its next OFFER waits; 0: not at all. */
  pauseMs(mac: Mac, nowMs: number): number {
    const times = this.#times(mac, nowMs);
    return times === 0 ? 0 : FIRST_MS * 2 ** Math.min(times - 1, MOST_DOUBLINGS);
  }

  #times(mac: Mac, nowMs: number): number {
    const known = this.#declined.get(mac);
    if (!known || nowMs - known.lastMs < DECLINE_FORGOTTEN_AFTER_MS) return known?.times ?? 0;
    this.#declined.delete(mac);
    return 0;
  }
}
