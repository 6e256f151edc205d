// The network between machines: which ways are cut, and how long a packet takes.
//
//   W1. A way has a direction; each can be cut by itself. What is on its way when that is cut does not arrive.
//   W2. Who may be reached is known to the network alone: machines find out by waiting.

import type { Machine } from './node.js';
import type { Seeded } from './seeded.js';
import type { World } from './world.js';

/** How quick it is. */
export interface NetworkPace {
  /** Most packets take up to so long. */
  readonly usualMs: number;
  /** How many take longer, by chance. */
  readonly slowShare: number;
  /** How long those take at most. */
  readonly slowMs: number;
}

// After a way is whole again TCP waits until it sends again what was lost: as long as the way was cut, about, because its
// waits double, but some time at least.
const SENT_AGAIN_MS = { least: 200, most: 5_000 };
const QUICKEST_MS = 0.2;

/** The network. */
export class Network {
  readonly world: World;
  readonly #chance: Seeded;
  readonly #pace: NetworkPace;
  readonly #cuts = new Map<string, number>();
  readonly #lanes = new Set<Lane>();

  constructor(world: World, chance: Seeded, pace: NetworkPace) {
    this.world = world;
    this.#chance = chance;
    this.#pace = pace;
  }

  /** Cuts the way from one machine to another. */
  cut(from: string, to: string): void {
    const key = wayName(from, to);
    if (!this.#cuts.has(key)) this.#cuts.set(key, this.world.nowMs);
  }

  /** The way is whole again. */
  heal(from: string, to: string): void {
    const sinceMs = this.#cuts.get(wayName(from, to));
    if (sinceMs === undefined) return;
    this.#cuts.delete(wayName(from, to));
    for (const lane of this.#lanes) {
      if (lane.from.name === from && lane.to.name === to) this.#goOnSoon(lane, this.world.nowMs - sinceMs);
    }
  }

  /** A machine has power again. */
  booted(machine: Machine): void {
    for (const lane of this.#lanes) if (lane.to === machine) this.#goOnSoon(lane, SENT_AGAIN_MS.most);
  }

  /** Every way is whole again. */
  healAll(): void {
    for (const way of [...this.#cuts.keys()]) {
      const [from = '', to = ''] = way.split('>');
      this.heal(from, to);
    }
  }

  #goOnSoon(lane: Lane, brokenMs: number): void {
    if (!lane.isHeld) return;
    const { least, most } = SENT_AGAIN_MS;
    this.world.after(this.#chance.between(0, Math.max(least, Math.min(most, brokenMs))), () => lane.goOn());
  }

  /** Whether a packet that arrives now does arrive. */
  isOpen(from: Machine, to: Machine): boolean {
    return to.isUp && !this.#cuts.has(wayName(from.name, to.name));
  }

  /** Whether the two can talk. */
  isWhole(a: Machine, b: Machine): boolean {
    return this.isOpen(a, b) && this.isOpen(b, a);
  }

  /** For how long they could not; 0: they can. */
  brokenForMs(a: Machine, b: Machine): number {
    const since = [this.#cuts.get(wayName(a.name, b.name)), this.#cuts.get(wayName(b.name, a.name))];
    return Math.max(0, ...since.map((sinceMs) => (sinceMs === undefined ? 0 : this.world.nowMs - sinceMs)));
  }

  /** How long the next packet takes. */
  latencyMs(): number {
    const { usualMs, slowShare, slowMs } = this.#pace;
    return this.#chance.between(QUICKEST_MS, this.#chance.chance(slowShare) ? slowMs : usualMs);
  }

  /** Sends one packet; `arrive` is called when it arrives, if it does. */
  send(from: Machine, to: Machine, arrive: () => void): void {
    this.world.after(this.latencyMs(), () => {
      if (this.isOpen(from, to)) arrive();
    });
  }

  /** A way on which what is sent arrives in order, late rather than never. */
  lane(from: Machine, to: Machine, delayMs: () => number = () => this.latencyMs()): Lane {
    const lane = new Lane(this, from, to, delayMs);
    this.#lanes.add(lane);
    return lane;
  }

  /** Nothing goes over a lane any more. */
  closed(lane: Lane): void {
    this.#lanes.delete(lane);
  }
}

/** One direction of a connection. */
export class Lane {
  readonly from: Machine;
  readonly to: Machine;
  readonly #network: Network;
  readonly #delayMs: () => number;
  #lastMs = 0;
  #held: (() => void)[] = [];
  #isClosed = false;

  constructor(network: Network, from: Machine, to: Machine, delayMs: () => number) {
    this.#network = network;
    this.from = from;
    this.to = to;
    this.#delayMs = delayMs;
  }

  /** Whether something waits because the way is cut. */
  get isHeld(): boolean {
    return this.#held.length > 0;
  }

  /** Sends; `arrive` is called when it arrives. */
  push(arrive: () => void): void {
    if (this.#isClosed) return;
    const { world } = this.#network;
    this.#lastMs = Math.max(this.#lastMs, world.nowMs + this.#delayMs());
    world.at(this.#lastMs, () => {
      if (this.#isClosed) return;
      if (this.isHeld || !this.#network.isOpen(this.from, this.to)) this.#held.push(arrive);
      else arrive();
    });
  }

  /** Delivers what waited, as far as the way is whole. */
  goOn(): void {
    while (!this.#isClosed && this.#network.isOpen(this.from, this.to)) {
      const arrive = this.#held.shift();
      if (!arrive) return;
      arrive();
    }
  }

  /** What is on its way is lost. */
  close(): void {
    this.#isClosed = true;
    this.#held = [];
    this.#network.closed(this);
  }
}

function wayName(from: string, to: string): string {
  return `${from}>${to}`;
}
