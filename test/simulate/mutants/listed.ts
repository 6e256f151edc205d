// What is known of a mistake beside what it is: which rule it breaks, and among which seeds that is seen.

import type { ScheduleOptions } from '../schedule.js';
import type { Mutant } from './mutation.js';

/** Some seeds, all run in the same way. */
export interface Field extends ScheduleOptions {
  readonly from: number;
  readonly seeds: number;
}

/** A mistake that the simulation must catch. */
export interface ListedMutant extends Mutant {
  /** Where the rule is: a section of protocol.md, with ◆ if it is one of those found necessary there; or a page of docs. */
  readonly rule: string;
  /** The invariants of which one breaks. */
  readonly caughtBy: readonly string[];
  /** One of them is broken among these seeds, in this order, and none without the mistake. */
  readonly field: Field;
}

/** Anything goes wrong; every other seed has guests. The same seeds as in simulate.test.ts. */
export const ANY: Field = { from: 1, seeds: 20 };
/** The same, with guests. */
export const GUESTS: Field = { from: 1, seeds: 6, hasGuests: true };
/** Hosts are well, and the control plane is not. */
export const SICK: Field = { from: 1, seeds: 20, mood: 'sick', hasGuests: false };
/** Hosts are well, and servers are restarted. */
export const RESTARTS: Field = { from: 1, seeds: 8, mood: 'restarts', hasGuests: false };
/** Changes of subnets meet reservations. */
export const COLLISIONS: Field = { from: 1, seeds: 10, minutes: 4, collides: true };
