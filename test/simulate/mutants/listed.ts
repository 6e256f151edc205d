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

/** Anything goes wrong; every other seed has guests. */
export const ANY: Field = { from: 1, seeds: 20 };
/** The same, with guests. */
export const GUESTS: Field = { from: 1, seeds: 3, hasGuests: true };
/** Hosts are well, and the control plane is not. */
export const SICK: Field = { from: 1, seeds: 40, mood: 'sick' };
/** Hosts are well, and servers are restarted. */
export const RESTARTS: Field = { from: 1, seeds: 16, mood: 'restarts' };
/** Of these simulate.test.ts looks, among more, whether anything is broken without a mistake. */
export const LOOKED_AT: readonly Field[] = [ANY, SICK, RESTARTS];
/** Each what one rule is for (scenes.ts), for as long as its rounds take. */
export const SCENE_FIELDS = {
  silences: { from: 1, seeds: 2, minutes: 5, scene: 'silences' },
  terms: { from: 1, seeds: 2, minutes: 4.5, scene: 'terms' },
  settings: { from: 1, seeds: 2, minutes: 4, scene: 'settings' },
  lowered: { from: 1, seeds: 2, minutes: 4, scene: 'lowered' },
  spans: { from: 1, seeds: 2, minutes: 3, scene: 'spans' },
  chains: { from: 1, seeds: 2, minutes: 3.2, scene: 'chains' },
  forgotten: { from: 1, seeds: 2, minutes: 3.2, scene: 'forgotten' },
  fenced: { from: 1, seeds: 2, minutes: 3.6, scene: 'fenced' },
  networks: { from: 1, seeds: 2, minutes: 3.6, scene: 'networks' },
  restarts: { from: 1, seeds: 2, minutes: 5, scene: 'restarts' },
  vouches: { from: 1, seeds: 2, minutes: 4.5, scene: 'vouches' },
  leases: { from: 1, seeds: 2, minutes: 4.8, scene: 'leases' },
  shorter: { from: 1, seeds: 2, minutes: 7, scene: 'shorter' },
  fences: { from: 1, seeds: 2, minutes: 5, scene: 'fences' },
  changes: { from: 1, seeds: 2, minutes: 6, scene: 'changes' },
  unknowns: { from: 1, seeds: 2, minutes: 3, scene: 'unknowns' },
  renames: { from: 1, seeds: 2, minutes: 3, scene: 'renames' },
  moves: { from: 1, seeds: 2, minutes: 3, scene: 'moves' },
  repeats: { from: 1, seeds: 2, minutes: 2, scene: 'repeats' },
  lateReleases: { from: 1, seeds: 2, minutes: 4, scene: 'late-releases' },
  batches: { from: 1, seeds: 2, minutes: 4, scene: 'batches' },
  frees: { from: 1, seeds: 2, minutes: 4, scene: 'frees' },
  deaths: { from: 1, seeds: 2, minutes: 5, scene: 'deaths' },
  breakers: { from: 1, seeds: 3, minutes: 4.5, scene: 'breakers' },
  collisions: { from: 1, seeds: 6, minutes: 4, scene: 'collisions' },
  deposed: { from: 1, seeds: 2, minutes: 5, scene: 'deposed' },
  stalled: { from: 1, seeds: 4, minutes: 5, scene: 'stalled' },
  behind: { from: 1, seeds: 2, minutes: 5, scene: 'behind' },
  rereading: { from: 1, seeds: 3, minutes: 5, scene: 'rereading' },
  heldUp: { from: 1, seeds: 2, minutes: 5, scene: 'held-up' },
  unheard: { from: 1, seeds: 2, minutes: 5, scene: 'unheard' },
  returning: { from: 1, seeds: 2, minutes: 5, scene: 'returning' },
  outdated: { from: 1, seeds: 3, minutes: 5, scene: 'outdated' },
  leaving: { from: 1, seeds: 2, minutes: 5, scene: 'leaving' },
  oldLead: { from: 1, seeds: 2, minutes: 5, scene: 'old-lead' },
  oldLeadMore: { from: 10, seeds: 4, minutes: 5, scene: 'old-lead' },
  halfOpen: { from: 1, seeds: 3, minutes: 5, scene: 'half-open' },
  upgrades: { from: 1, seeds: 2, minutes: 3, scene: 'upgrades' },
} satisfies Record<string, Field>;
