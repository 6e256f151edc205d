// Which hosts lost their streams lately and are not back: they come back together, and are let in one after another.

import type { HostId } from '../../domain/ids.js';

// The longest spread and the longest wait to be let in end before; who is away for longer does not come back with others.
const LATELY_MS = 120_000;

/** See the top of the file. */
export class Returning {
  /** When each left, the first first. */
  readonly #since = new Map<HostId, number>();

  /** The stream of a host broke. */
  left(hostId: HostId, nowMs: number): void {
    this.#since.delete(hostId);
    this.#since.set(hostId, nowMs);
  }

  /** A host is back, or forgotten. */
  returned(hostId: HostId): void {
    this.#since.delete(hostId);
  }

  /** How many there are. */
  count(nowMs: number): number {
    for (const [hostId, sinceMs] of this.#since) {
      if (nowMs - sinceMs < LATELY_MS) break;
      this.#since.delete(hostId);
    }
    return this.#since.size;
  }

  /** Forgets them. */
  clear(): void {
    this.#since.clear();
  }
}
