// Where the sessions tell what their hosts noticed on the wire.

import type { Sighting } from '../domain/conflict.js';
import type { SlotKey } from '../domain/reservation-id.js';

/** Hears what does not fit reservations. */
export interface Sightings {
  /** Never throws, and keeps nobody waiting: what cannot be noted now is dropped, it comes again while it is true. */
  sighted(place: SlotKey, sighting: Sighting): void;
}
