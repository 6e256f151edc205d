// Engines that reserve one address after another, at several servers, and do not give up: each asks for its MAC again until it
// is promised an address.

import type { Leasehold } from '@leasehold/sdk';
import { eventually } from '../../support/eventually.js';

const EACH = 2;
/** A load, and not a test of what the machine can do. */
const PAUSE_MS = 100;
const MORE = 5;

/** See the top of the file. */
export class Reservers implements AsyncDisposable {
  readonly #promised = new Map<string, string>();
  readonly #rounds: number[];
  readonly #running: readonly Promise<void>[];
  #isOver = false;

  /** Some for each of these clients begin. */
  constructor(clients: readonly Leasehold[], networkId: string) {
    const all = clients.flatMap((client) => Array.from({ length: EACH }, () => client));
    this.#rounds = all.map(() => 0);
    this.#running = all.map((client, n) => this.#reserve(client, networkId, n));
  }

  /** Resolves when each of them was promised some more. */
  async progress(): Promise<void> {
    const goal = this.#rounds.map((rounds) => rounds + MORE);
    await eventually('every engine is promised more', async () => this.#rounds.every((n, i) => n >= (goal[i] ?? 0)));
  }

  /** Ends it: the addresses that were promised, by MAC. */
  async over(): Promise<ReadonlyMap<string, string>> {
    this.#isOver = true;
    await Promise.all(this.#running);
    return this.#promised;
  }

  async #reserve(client: Leasehold, networkId: string, n: number): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      const mac = `52:54:02:${[n, round >> 8, round & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
      const made = await this.#untilPromised(() => client.reservations.reserve({ networkId, mac }));
      if (!made) return;
      this.#promised.set(mac, made.reservation.address);
      this.#rounds[n] = round + 1;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #untilPromised<T>(ask: () => Promise<T>): Promise<T | undefined> {
    while (!this.#isOver) {
      try {
        return await ask();
      } catch {
        // Whatever was the matter: what counts is what is promised in the end.
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.allSettled(this.#running);
  }
}
