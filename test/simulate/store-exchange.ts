// One exchange of a server with the store, as the MongoDB adapter makes them (adapters/mongodb/exchange.ts).
//
//   X1. A request travels, is carried out, and its answer travels. What is lost before is not done; what is lost after
//       is done, and the server does not know which it was.
//   X2. A write whose outcome is not known is repeated until it is, for 20 s; then OutcomeUnknownError. What was never
//       sent is StoreUnavailableError.
//   X3. What was believed lost may be carried out seconds later, beside its repetition.

import { delay } from '@leasehold/program/clock';
import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import type { WallTime } from '@leasehold/server/domain/ids';
import type { Breaker } from '@leasehold/server/ports/breaker';
import { OutcomeUnknownError, type StoreHealth, StoreUnavailableError } from '@leasehold/server/ports/store';
import type { Network } from './network.js';
import type { Machine, VirtualProcess } from './node.js';
import type { Seeded } from './seeded.js';

const REPEAT_FOR_MS = 20_000;
const REPEAT_AFTER_MS = 100;
const PATIENCE = { windowMs: 2_000, resetMs: 1_000 };
const SELECTION_MS = 2_000;
const SOCKET_MS = 5_000;
// Until a driver's own look at the store fails it sends on what it has.
const NOTICED_AFTER_MS = 4_000;
const LATE_MS = 4_000;
const NOTICES_BROKEN_MS = 50;

/** What goes wrong with exchanges though the way is whole. */
export interface StoreTrouble {
  /** Connections that break before, or after a request was carried out. */
  brokenShare: number;
  /** Of those that break before, how many are carried out later. */
  lateShare: number;
}

/** Where the store is. */
export interface StorePlace {
  readonly network: Network;
  readonly machine: Machine;
  readonly trouble: StoreTrouble;
}

/** The exchanges of one server's process. */
export class StoreExchange {
  readonly #process: VirtualProcess;
  readonly #place: StorePlace;
  readonly #chance: Seeded;
  readonly #breaker: Breaker;
  #failingSince: WallTime | undefined;

  constructor(process: VirtualProcess, place: StorePlace, chance: Seeded) {
    this.#process = process;
    this.#place = place;
    this.#chance = chance;
    this.#breaker = virtualBreakers(process)('store', () => this.#breakerChanged(), PATIENCE);
  }

  get health(): StoreHealth {
    const breaker = this.#breaker.state;
    return { breaker, unavailableSince: breaker === 'closed' ? undefined : this.#failingSince };
  }

  /** Reads; rejects with StoreUnavailableError. */
  async read<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await this.#once(ask);
    } catch (error) {
      throw isFault(error) ? new StoreUnavailableError('The store is away') : error;
    }
  }

  /** Writes, again and again until the outcome is known; `ask` must find out what an earlier attempt did. */
  async write<T>(ask: (attempt: number) => Promise<T>): Promise<T> {
    const firstMs = this.#process.now();
    let wasSent = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(() => ask(attempt));
      } catch (error) {
        if (!isFault(error)) throw error;
        wasSent ||= error instanceof Lost;
        const isOver = this.#process.now() - firstMs + REPEAT_AFTER_MS >= REPEAT_FOR_MS;
        if (!wasSent && (isOver || this.#breaker.state === 'open'))
          throw new StoreUnavailableError('The store is away');
        if (isOver) throw new OutcomeUnknownError('Not known in time');
      }
      await delay(this.#process, REPEAT_AFTER_MS);
      if (wasSent && this.#process.now() - firstMs >= REPEAT_FOR_MS) throw new OutcomeUnknownError('Not known in time');
    }
  }

  async #once<T>(ask: () => Promise<T>): Promise<T> {
    let answer: { readonly value: T } | undefined;
    try {
      await this.#breaker.run(async () => {
        answer = { value: await this.#exchange(ask) };
      });
    } catch (error) {
      if (error instanceof Lost || error instanceof NoPrimary) {
        this.#failingSince ??= this.#process.wallTime().getTime() as WallTime;
      }
      if (error instanceof NoPrimary) this.#breaker.open();
      throw error;
    }
    if (this.#breaker.state === 'closed') this.#failingSince = undefined;
    if (!answer) throw new Error('An exchange ended without an answer');
    return answer.value;
  }

  #exchange<T>(ask: () => Promise<T>): Promise<T> {
    const { network, machine, trouble } = this.#place;
    const here = this.#process.machine;
    return new Promise<T>((resolve, reject) => {
      if (network.brokenForMs(here, machine) > NOTICED_AFTER_MS) {
        this.#process.after(SELECTION_MS, () => reject(new NoPrimary()));
        return;
      }
      const lost = this.#process.after(SOCKET_MS, () => reject(new Lost()));
      const settle = (how: () => void) => {
        network.send(machine, here, () =>
          this.#process.arrive(() => {
            lost.cancel();
            how();
          }),
        );
      };
      const carryOut = (isAnswered: boolean) => {
        ask().then(
          (value) => isAnswered && settle(() => resolve(value)),
          (error: Error) => isAnswered && settle(() => reject(error)),
        );
      };
      const isBroken = this.#chance.chance(trouble.brokenShare);
      const isDone = this.#chance.chance(0.5);
      const lateMs = this.#chance.chance(trouble.lateShare) ? this.#chance.between(1, LATE_MS) : undefined;
      if (!isBroken) {
        network.send(here, machine, () => carryOut(true));
        return;
      }
      this.#process.after(NOTICES_BROKEN_MS, () => {
        lost.cancel();
        reject(new Lost());
      });
      if (isDone) network.send(here, machine, () => carryOut(false));
      else if (lateMs !== undefined) network.world.after(lateMs, () => carryOut(false));
    });
  }

  #breakerChanged(): void {
    if (this.#breaker.state === 'half-open') this.read(async () => undefined).catch(() => undefined);
  }
}

class Lost extends Error {}
class NoPrimary extends Error {}

function isFault(error: unknown): boolean {
  return (
    error instanceof Lost ||
    error instanceof NoPrimary ||
    (error instanceof Error && error.message === 'Breaker is open')
  );
}
