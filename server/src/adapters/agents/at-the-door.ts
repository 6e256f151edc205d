// Which hosts said hello and have no session yet, because it is not decided or because of this server's own trouble: that they
// are not here says nothing of them.

import type { HostId } from '../../domain/ids.js';

// Longer than any agent takes to come again.
const REMEMBERED_MS = 60_000;

/** See the top of the file. */
export class AtTheDoor {
  /** When each said hello last; the one that was last comes last. */
  readonly #lastMs = new Map<HostId, number>();

  /** It says hello now, or is turned away. */
  add(hostId: HostId, nowMs: number): void {
    this.#lastMs.delete(hostId);
    this.#lastMs.set(hostId, nowMs);
    for (const [other, atMs] of this.#lastMs) {
      if (nowMs - atMs < REMEMBERED_MS) break;
      this.#lastMs.delete(other);
    }
  }

  /** It has a session, or was refused for what it is. */
  remove(hostId: HostId): void {
    this.#lastMs.delete(hostId);
  }

  /** When it was there last; undefined: not lately. */
  lastMs(hostId: HostId): number | undefined {
    return this.#lastMs.get(hostId);
  }

  /** Forgets all of them. */
  clear(): void {
    this.#lastMs.clear();
  }
}
