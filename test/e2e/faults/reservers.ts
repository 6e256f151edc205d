// Engines that reserve one address after another, and release every other one again, at several servers, and do not give up:
// each asks for its MAC until it is promised an address, and until it is told that it has none any more.

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

  /** Ends it: the addresses that were promised, and not asked to be released, by MAC. */
  async over(): Promise<ReadonlyMap<string, string>> {
    this.#isOver = true;
    await Promise.all(this.#running);
    return this.#promised;
  }

  async #reserve(client: Leasehold, networkId: string, n: number): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      const mac = `52:54:02:${[n, round >> 8, round & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
      const made = await this.#untilDone(() => client.reservations.reserve({ networkId, mac }));
      if (!made) return;
      this.#promised.set(mac, made.reservation.address);
      if (round % 2 === 1) await this.#release(client, mac, made.reservation.reservationId);
      this.#rounds[n] = round + 1;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #release(client: Leasehold, mac: string, reservationId: string): Promise<void> {
    this.#promised.delete(mac);
    await this.#untilDone(() => client.reservations.release({ reservationId, guestStopped: true }));
  }

  async #untilDone<T>(ask: () => Promise<T>): Promise<T | undefined> {
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
