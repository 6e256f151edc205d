// Claims networks for one term of leading (protocol.md §5.2): a compare-and-set that writes the holder's epoch. Once the
// view shows it, the view also shows every slot that was written before; unless it is reading everything again: then
// once that is over.
//
//   C1. In the order it is told, some at a time, each until it is claimed; those that appear later, made through another
//       server, too.
//   C2. A claim changes nothing but the epoch. A plan for a network that is not claimed yet carries the claim itself: it
//       is written only over the document it was made from, so nothing came in between.

import { delay } from '@leasehold/program/clock';
import type { NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import type { Subscription } from '../ports/store.js';
import type { Context } from './context.js';
import { Turns } from './turns.js';

const AGAIN_MS = 500;

/** Claims networks, during one term of leading. */
export class Claims {
  readonly #context: Context;
  readonly #epoch: number;
  readonly #signal: AbortSignal;
  /** Not claimed as far as the view shows. */
  readonly #unclaimed = new Set<NetworkId>();
  /** Of those: being claimed, or claimed and not shown yet. */
  readonly #begun = new Set<NetworkId>();
  readonly #turns = new Turns<Network>((network) => this.#claimOne(network));
  readonly #subscriptions: Subscription[] = [];
  #isFailing = false;
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
        else if (shown.kind === 'network-gone') this.#forget(shown.networkId);
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
    // As shown before the claim, or made anew since.
    this.#forget(networkId);
    if (holderEpoch < this.#epoch) this.#unclaimed.add(networkId);
  }

  #forget(networkId: NetworkId): void {
    this.#unclaimed.delete(networkId);
    this.#begun.delete(networkId);
  }

  /** The networks that are not claimed, as far as the view shows. */
  get unclaimed(): ReadonlySet<NetworkId> {
    return this.#unclaimed;
  }

  /** Claims these from now on, in this order, and no longer those of the call before. */
  claim(networks: readonly Network[]): void {
    this.#turns.tell(networks);
  }

  async #claimOne(network: Network): Promise<void> {
    const { networkId } = network;
    if (this.#begun.has(networkId)) return;
    this.#begun.add(networkId);
    while (this.#unclaimed.has(networkId) && this.#mayAct) {
      try {
        await this.#write(network);
        this.#isFailing = false;
        // Otherwise it may have ended without a claim.
        if (this.#mayAct) return;
      } catch (error) {
        if (!this.#isFailing) this.#context.log.warn('networks cannot be claimed yet', { error: String(error) });
        this.#isFailing = true;
        // Not by the signal: it would have a listener for each.
        await delay(this.#context.clock, AGAIN_MS);
      }
    }
    this.#begun.delete(networkId);
  }

  get #mayAct(): boolean {
    return this.#context.lease.epoch === this.#epoch && !this.#signal.aborted;
  }

  async #write(network: Network): Promise<void> {
    const { store } = this.#context;
    let current: Network | undefined = network;
    while (current && current.holderEpoch < this.#epoch && this.#mayAct) {
      const written = await store.networks.put({ ...current, holderEpoch: this.#epoch });
      if (written !== 'conflict') return;
      current = await store.networks.get(network.networkId);
    }
  }
}
