// Which hosts said hello and were refused because of this server's own trouble, lately: that they are not here says nothing
// of them.

import type { HostId } from '../../domain/ids.js';

// Longer than any agent takes to come again.
const REMEMBERED_MS = 60_000;

/** See the top of the file. */
export class TurnedAway {
  /** When each was last; the one that was last comes last. */
  readonly #lastMs = new Map<HostId, number>();

  /** It was refused now. */
  add(hostId: HostId, nowMs: number): void {
    this.#lastMs.delete(hostId);
    this.#lastMs.set(hostId, nowMs);
    for (const [other, atMs] of this.#lastMs) {
      if (nowMs - atMs < REMEMBERED_MS) break;
      this.#lastMs.delete(other);
    }
  }

  /** When it was last; undefined: not lately. */
  lastMs(hostId: HostId): number | undefined {
    return this.#lastMs.get(hostId);
  }

  /** Forgets all of them. */
  clear(): void {
    this.#lastMs.clear();
  }
}
