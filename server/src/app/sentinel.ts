// Notes what hosts noticed on the wire with the reservations it is about (docs/sentinel.md).
//
//   S1. Nothing but `conflict` is written: what a guest sends ends no reservation.
//   S2. What is under way is bounded, whatever how many hosts tell: the rest is dropped, and counted.

import type { Sighting } from '../domain/conflict.js';
import { withConflict } from '../domain/conflict.js';
import type { SlotKey } from '../domain/reservation-id.js';
import type { Sightings } from '../ports/sightings.js';
import { StoreUnavailableError } from '../ports/store.js';
import { type Context, wallTime } from './context.js';

const MAX_UNDER_WAY = 100;
// Each round lost to another write of the slot.
const MAX_ROUNDS = 3;

/** What became of a sighting. */
type Outcome = 'noted' | 'known' | 'dropped';

/** See the top of the file. */
export class Sentinel implements Sightings {
  readonly #context: Pick<Context, 'store' | 'clock' | 'log' | 'metrics'>;
  #underWay = 0;

  constructor(context: Pick<Context, 'store' | 'clock' | 'log' | 'metrics'>) {
    this.#context = context;
  }

  sighted(place: SlotKey, sighting: Sighting): void {
    if (this.#underWay >= MAX_UNDER_WAY) {
      this.#count(sighting, 'dropped');
      return;
    }
    this.#underWay++;
    this.#note(place, sighting)
      .then((outcome) => this.#count(sighting, outcome))
      .catch((error: unknown) => {
        this.#count(sighting, 'dropped');
        if (!(error instanceof StoreUnavailableError)) {
          this.#context.log.error('a sighting could not be noted, by a defect', { error });
        }
      })
      .finally(() => this.#underWay--);
  }

  async #note({ networkId, address }: SlotKey, sighting: Sighting): Promise<Outcome> {
    const { store, log } = this.#context;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const slot = await store.slots.get(networkId, address);
      const after = slot && withConflict(slot, sighting, wallTime(this.#context));
      if (!after) return 'known';
      const { outcome } = await store.slots.replace(after);
      if (outcome.kind !== 'replaced') continue;
      const { kind, sourceMac, hostId } = sighting;
      const fields = { kind, reservation: slot.reservationId, network: networkId, mac: sourceMac, host: hostId };
      if (kind === 'released') log.info('a guest gave up its address; its reservation goes on', fields);
      else log.warn('something does not fit a reservation', fields);
      return 'noted';
    }
    return 'dropped';
  }

  #count({ kind }: Sighting, outcome: Outcome): void {
    this.#context.metrics.count('sightings', { kind, outcome });
  }
}
