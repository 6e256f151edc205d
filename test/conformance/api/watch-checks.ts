// Watching: what is told, in which order, from where on.

import type { WatchEvent, WatchOptions } from '@leasehold/sdk';
import { expect } from 'vitest';
import { eventually } from '../../support/eventually.js';
import type { Api } from './api.js';
import type { ApiCheck } from './stage.js';

/** The claims. */
export const WATCH_CHECKS: readonly ApiCheck[] = [
  {
    name: 'a watch begins with a bookmark, and tells each change of its network once, in order, and of no other',
    async run(stage) {
      const [networkId, other] = [await stage.network(), await stage.network()];
      const subnetId = await stage.subnet(networkId);
      await using reading = new Reading(stage.api, { networkId });
      await reading.until(({ length }) => length > 0);
      expect(reading.events[0]?.kind).toBe('bookmark');
      await stage.subnet(other);
      const { reservationId } = (await stage.api.reserve({ subnetId, mac: stage.mac() })).reservation;
      await stage.api.updateReservation({ reservationId }, { hostname: 'web' });
      await stage.api.release({ reservationId });
      await stage.api.updateNetwork(networkId, { displayName: 'Red' });
      await stage.api.deleteSubnet(subnetId);
      await stage.api.deleteNetwork(networkId);
      await reading.until(() => reading.told.at(-1)?.startsWith('deleted network') === true);
      expect(reading.told).toEqual([
        `created reservation ${reservationId} reserved`,
        `updated reservation ${reservationId} reserved`,
        `updated reservation ${reservationId} quarantined`,
        `updated network ${networkId}`,
        `deleted subnet ${subnetId}`,
        `deleted network ${networkId}`,
      ]);
    },
  },
  {
    name: 'a watch goes on after the last event that was read, also of what happened while the server was away',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const mac = stage.mac();
      let resumeToken = '';
      const first = (async () => {
        await using reading = new Reading(stage.api, { networkId });
        await reading.until(({ length }) => length > 0);
        const { reservationId } = (await stage.api.reserve({ subnetId, mac })).reservation;
        await reading.until(() => reading.told.length > 0);
        resumeToken = reading.token;
        return reservationId;
      })();
      const reservationId = await first;
      await stage.api.release({ reservationId });
      await stage.place.restart();
      const next = (await stage.api.reserve({ subnetId, mac })).reservation;
      await using reading = new Reading(stage.api, { networkId, resumeToken });
      await reading.until(() => reading.told.length >= 3);
      expect(reading.told).toEqual([
        `updated reservation ${reservationId} quarantined`,
        `deleted reservation ${reservationId} ended`,
        `created reservation ${next.reservationId} reserved`,
      ]);
    },
  },
  {
    name: 'a snapshot is all that is there, then its end, then changes',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const { reservationId } = (await stage.api.reserve({ subnetId, mac: stage.mac() })).reservation;
      await using reading = new Reading(stage.api, { networkId, snapshot: true });
      await reading.until((events) => events.some(({ kind }) => kind === 'snapshot-end'));
      const present = [
        `present network ${networkId}`,
        `present reservation ${reservationId} reserved`,
        `present subnet ${subnetId}`,
      ];
      expect(reading.told.toSorted()).toEqual(present);
      await stage.api.release({ reservationId });
      await reading.until(() => reading.told.length > present.length);
      expect(reading.told.at(-1)).toBe(`updated reservation ${reservationId} quarantined`);
    },
  },
  {
    name: 'a position that is none is refused',
    async run(stage) {
      const read = async () => {
        for await (const _ of stage.api.watch({ resumeToken: 'bogus' })) return;
      };
      expect(await stage.refused(read())).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD' });
    },
  },
];

/** Reads a watch until it is let go of. */
class Reading implements AsyncDisposable {
  readonly events: WatchEvent[] = [];
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #failure: unknown;

  constructor(api: Api, options: WatchOptions) {
    this.#running = this.#read(api, options).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** What was told, as `created reservation ID STATE`. */
  get told(): readonly string[] {
    return this.events.flatMap((event) => textOf(event) ?? []);
  }

  /** Where it is. */
  get token(): string {
    const last = this.events.at(-1);
    return last && 'resumeToken' in last ? last.resumeToken : '';
  }

  /** Waits until what was read is so. */
  async until(isSo: (events: readonly WatchEvent[]) => boolean): Promise<void> {
    await eventually('the watch tells it', async () => {
      if (this.#failure !== undefined) throw new Error('The watch ended', { cause: this.#failure });
      return isSo(this.events);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('enough'));
    await this.#running;
  }

  async #read(api: Api, options: WatchOptions): Promise<void> {
    for await (const event of api.watch({ ...options, signal: this.#abort.signal })) this.events.push(event);
  }
}

function textOf(event: WatchEvent): string | undefined {
  switch (event.kind) {
    case 'reservation':
      return `${event.change} reservation ${event.reservation.reservationId} ${event.reservation.state}`;
    case 'network':
      return `${event.change} network ${event.network.networkId}`;
    case 'subnet':
      return `${event.change} subnet ${event.subnet.subnetId}`;
    default:
      return undefined;
  }
}
