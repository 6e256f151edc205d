// Claims networks for one term of leading (protocol.md §5.2): a compare-and-set that writes the holder's epoch. Once the
// view shows it, the view also shows every slot that was written before; unless it is reading everything again: then
// once that is over.
//
//   C1. In the order it is told, some at a time; those that appear later, made through another server, too.
//   C2. A claim changes nothing but the epoch. A plan for a network that is not claimed yet carries the claim itself: it
//       is written only over the document it was made from, so nothing came in between.

import { delay } from '@leasehold/program/clock';
import type { NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import type { Subscription } from '../ports/store.js';
import type { Context } from './context.js';

// A plan that comes meanwhile waits for so many writes at most.
const AT_ONCE = 32;
const AGAIN_MS = 500;

/** Claims networks, during one term of leading. */
export class Claims {
  readonly #context: Context;
  readonly #epoch: number;
  readonly #signal: AbortSignal;
  /** Not claimed as far as the view shows. */
  readonly #unclaimed = new Set<NetworkId>();
  readonly #subscriptions: Subscription[] = [];
  #queue: readonly Network[] = [];
  #isWorking = false;
  #onComplete: (() => void) | undefined;

  /** `signal`: ends it. */
  constructor(context: Context, epoch: number, signal: AbortSignal) {
    this.#context = context;
    this.#epoch = epoch;
    this.#signal = signal;
  }

  /** Follows the view from now on; resolves when every network is claimed for the first time, or it is ended. */
  start(): Promise<void> {
    const { view } = this.#context;
    for (const network of view.networks.values()) this.#look(network);
    const look = () => {
      if (this.#unclaimed.size === 0 && !view.isReading) this.#onComplete?.();
    };
    this.#subscriptions.push(
      view.listen((shown) => {
        if (shown.kind === 'network') this.#look(shown.network);
        else if (shown.kind === 'network-gone') this.#unclaimed.delete(shown.networkId);
        else return;
        look();
      }),
      view.listenToChanges({ began: look, changed: () => undefined, lost: () => undefined }),
    );
    return new Promise((resolve) => {
      this.#onComplete = resolve;
      this.#signal.addEventListener('abort', () => resolve(), { once: true });
      look();
      if (this.#signal.aborted) resolve();
    });
  }

  /** Tells no more. */
  stop(): void {
    for (const subscription of this.#subscriptions) subscription.close();
  }

  #look({ networkId, holderEpoch }: Network): void {
    if (holderEpoch < this.#epoch) this.#unclaimed.add(networkId);
    else this.#unclaimed.delete(networkId);
  }

  /** The networks that are not claimed, as far as the view shows. */
  get unclaimed(): ReadonlySet<NetworkId> {
    return this.#unclaimed;
  }

  /** Claims these from now on, in this order, and no longer those of the call before. */
  claim(networks: readonly Network[]): void {
    this.#queue = networks;
    if (this.#isWorking || networks.length === 0) return;
    this.#isWorking = true;
    void this.#work().finally(() => {
      this.#isWorking = false;
    });
  }

  async #work(): Promise<void> {
    const { clock, log } = this.#context;
    while (this.#queue.length > 0 && !this.#signal.aborted) {
      const next = this.#queue.filter(({ networkId }) => this.#unclaimed.has(networkId));
      this.#queue = next.slice(AT_ONCE);
      try {
        await Promise.all(next.slice(0, AT_ONCE).map((network) => this.#claimOne(network)));
      } catch (error) {
        log.warn('networks cannot be claimed yet', { error: String(error) });
        await delay(clock, AGAIN_MS, this.#signal);
        this.#queue = next;
      }
    }
  }

  async #claimOne(network: Network): Promise<void> {
    const { store, lease } = this.#context;
    let current: Network | undefined = network;
    while (current && current.holderEpoch < this.#epoch && lease.epoch === this.#epoch && !this.#signal.aborted) {
      const written = await store.networks.put({ ...current, holderEpoch: this.#epoch });
      if (written !== 'conflict') return;
      current = await store.networks.get(network.networkId);
    }
  }
}
