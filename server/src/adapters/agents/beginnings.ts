// How often sessions of one host begin. An agent that is restarted over and over, or two that share a host id, cost as much
// with every hello as a host that came once: a look into the store, its tables, a run of the manager.
//
//   B1. A few begin at once, then one in a second. Who comes too early waits for its turn; of those that wait of one host,
//       the newest does, and the others are told that it came.
//   B2. Nobody waits because of another host.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { HostId } from '../../domain/ids.js';
import { Recent } from './recent.js';

const AT_ONCE = 5;
const EVERY_MS = 1_000;

/** See the top of the file. */
export class Beginnings {
  readonly #clock: Clock;
  /** How many may begin at once, when one began last. What is forgotten may do everything again anyway. */
  readonly #free = new Recent<HostId, number>(AT_ONCE * EVERY_MS);
  readonly #waiting = new Map<HostId, { readonly timer: Timer; readonly giveWay: () => void }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is the host's turn: true; false: another one of this host came meanwhile. */
  turn(hostId: HostId): Promise<boolean> {
    this.#waiting.get(hostId)?.giveWay();
    const waitMs = this.#waitMs(hostId);
    if (waitMs === 0) {
      this.#began(hostId);
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const end = (isTurn: boolean) => {
        timer.cancel();
        this.#waiting.delete(hostId);
        if (isTurn) this.#began(hostId);
        resolve(isTurn);
      };
      const timer = this.#clock.after(waitMs, () => end(true));
      this.#waiting.set(hostId, { timer, giveWay: () => end(false) });
    });
  }

  #freeNow(hostId: HostId): number {
    const nowMs = this.#clock.now();
    const last = this.#free.get(hostId, nowMs);
    return last ? Math.min(AT_ONCE, last.value + (nowMs - last.atMs) / EVERY_MS) : AT_ONCE;
  }

  #waitMs(hostId: HostId): number {
    return Math.max(0, Math.ceil((1 - this.#freeNow(hostId)) * EVERY_MS));
  }

  #began(hostId: HostId): void {
    this.#free.note(hostId, this.#freeNow(hostId) - 1, this.#clock.now());
  }
}
