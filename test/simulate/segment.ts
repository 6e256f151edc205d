// A layer-2 segment in virtual time: one network's wire, over all hosts.
//
//   L1. Chance is drawn for every frame and receiver: frames come late, twice, in another order or not at all, and a
//       broadcast that one hears another may miss. Inside one host nothing is lost.
//   L2. A cut counts when a frame is sent, and in one direction only: what is on its way arrives.
//   L3. Who is not plugged in when a frame arrives does not get it.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Frame } from './frames.js';
import type { Seeded } from './seeded.js';
import type { World } from './world.js';

/** Something with an interface on the segment. */
export interface Station {
  readonly mac: Mac;
  /** The host that it is on. */
  readonly place: string;
  /** Whether it makes anything of such a frame now; asked when it is sent, so that nothing is done for nobody. */
  wants(frame: Frame): boolean;
  receive(frame: Frame): void;
  /** Whether it answers ARP for an address now. */
  owns(address: Ipv4): boolean;
}

/** What a segment does to frames between hosts. */
export interface WireConditions {
  readonly delayMs: readonly [least: number, most: number];
  /** Shares of 1. */
  readonly loss: number;
  readonly duplication: number;
}

/** A wire that only takes its time. */
export const GOOD_WIRE: WireConditions = { delayMs: [0.1, 2], loss: 0, duplication: 0 };

/** Sees everything that is sent, when it is sent. */
export type FrameWitness = (frame: Frame, from: Station) => void;

const LOCAL_DELAY_MS = 0.05;

/** See the top of the file. */
export class Segment {
  readonly networkId: string;
  conditions: WireConditions;
  /** Called in this order. */
  readonly witnesses: FrameWitness[] = [];
  readonly #world: World;
  readonly #chance: Seeded;
  readonly #stations = new Set<Station>();
  /** `FROM TO`. */
  readonly #cuts = new Set<string>();
  readonly #down = new Set<string>();

  constructor(networkId: string, world: World, chance: Seeded, conditions: WireConditions = GOOD_WIRE) {
    this.networkId = networkId;
    this.conditions = conditions;
    this.#world = world;
    this.#chance = chance;
  }

  plug(station: Station): void {
    this.#stations.add(station);
  }

  unplug(station: Station): void {
    this.#stations.delete(station);
  }

  /** From now on nothing of one host reaches the other; the other way nothing changes. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  /** From now on nothing passes between these hosts and all others, either way. */
  isolate(...places: readonly string[]): void {
    const others = new Set([...this.#stations].map(({ place }) => place));
    for (const place of places) others.delete(place);
    for (const place of places) {
      for (const other of others) {
        this.cut(place, other);
        this.cut(other, place);
      }
    }
  }

  /** That way is whole again. */
  mend(from: string, to: string): void {
    this.#cuts.delete(`${from} ${to}`);
  }

  /** Everybody reaches everybody again. */
  heal(): void {
    this.#cuts.clear();
  }

  /** The bridge of a host goes down or up: while it is down nobody on that host hears or says anything. */
  setBridge(place: string, isUp: boolean): void {
    if (isUp) this.#down.delete(place);
    else this.#down.add(place);
  }

  /** Whether a frame that is sent now may arrive. */
  reaches(from: string, to: string): boolean {
    return !this.#down.has(from) && !this.#down.has(to) && (from === to || !this.#cuts.has(`${from} ${to}`));
  }

  send(frame: Frame, from: Station): void {
    if (this.#down.has(from.place)) return;
    for (const witness of this.witnesses) witness(frame, from);
    for (const station of this.#stations) {
      if (station === from || (frame.destinationMac !== undefined && station.mac !== frame.destinationMac)) continue;
      if (!this.reaches(from.place, station.place) || !station.wants(frame)) continue;
      this.#carry(frame, from, station);
    }
  }

  /** The MAC that a station learns when it asks for an address: of several that have it, any. */
  resolve(address: Ipv4, from: Station): Mac | undefined {
    const owners: Mac[] = [];
    for (const station of this.#stations) {
      const isReached = this.reaches(from.place, station.place) && this.reaches(station.place, from.place);
      if (station !== from && isReached && station.owns(address)) owners.push(station.mac);
    }
    return owners.length > 1 ? this.#chance.pick(owners) : owners[0];
  }

  #carry(frame: Frame, from: Station, to: Station): void {
    if (from.place === to.place) {
      this.#deliver(frame, to, LOCAL_DELAY_MS);
      return;
    }
    const { loss, duplication } = this.conditions;
    if (loss > 0 && this.#chance.chance(loss)) return;
    this.#deliver(frame, to, this.#delayMs());
    if (duplication > 0 && this.#chance.chance(duplication)) this.#deliver(frame, to, this.#delayMs());
  }

  #delayMs(): number {
    return this.#chance.between(...this.conditions.delayMs);
  }

  #deliver(frame: Frame, to: Station, delayMs: number): void {
    this.#world.after(delayMs, () => {
      if (this.#stations.has(to) && !this.#down.has(to.place)) to.receive(frame);
    });
  }
}
