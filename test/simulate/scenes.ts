// Schedules in which nothing happens but what one rule is for, again and again: chance alone brings it about in one run of
// thousands. What chance decides in them is when, to whom, and in which order.

import { COLLISIONS } from './scene-collisions.js';
import { BREAKERS, DEATHS, UPGRADES } from './scene-deaths.js';
import { FENCES, LEASES, SHORTER, VOUCHES } from './scene-guests.js';
import {
  BEHIND,
  DEPOSED,
  HALF_OPEN,
  HELD_UP,
  LEAVING,
  OLD_LEAD,
  OUTDATED,
  REREADING,
  RETURNING,
  STALLED,
  UNHEARD,
} from './scene-misfortunes.js';
import { BATCHES, CHANGES, FREES, LATE_RELEASES, MOVES, RENAMES, REPEATS, UNKNOWNS } from './scene-requests.js';
import {
  CHAINS,
  FENCED,
  FORGOTTEN,
  LOWERED,
  NETWORKS,
  RESTARTS,
  SETTINGS,
  SILENCES,
  SPANS,
  TERMS,
} from './scene-silences.js';
import type { Action, Setup } from './schedule.js';
import type { Seeded } from './seeded.js';

/** One of them. */
export interface Scene {
  /** The installation in which it happens, of what was drawn. */
  setupOf(drawn: Setup, chance: Seeded): Setup;
  /** Whether engines ask for what they always ask for, beside what happens. */
  readonly hasRequests?: boolean;
  /** What happens, in any order. */
  actionsOf(setup: Setup, beginMs: number, endMs: number, chance: Seeded): readonly Action[];
}

/** All of them. */
export const SCENES = {
  silences: SILENCES,
  terms: TERMS,
  settings: SETTINGS,
  lowered: LOWERED,
  spans: SPANS,
  fenced: FENCED,
  chains: CHAINS,
  forgotten: FORGOTTEN,
  networks: NETWORKS,
  restarts: RESTARTS,
  vouches: VOUCHES,
  leases: LEASES,
  shorter: SHORTER,
  fences: FENCES,
  changes: CHANGES,
  unknowns: UNKNOWNS,
  renames: RENAMES,
  moves: MOVES,
  repeats: REPEATS,
  'late-releases': LATE_RELEASES,
  batches: BATCHES,
  frees: FREES,
  deaths: DEATHS,
  breakers: BREAKERS,
  upgrades: UPGRADES,
  collisions: COLLISIONS,
  deposed: DEPOSED,
  stalled: STALLED,
  behind: BEHIND,
  rereading: REREADING,
  'held-up': HELD_UP,
  unheard: UNHEARD,
  returning: RETURNING,
  outdated: OUTDATED,
  leaving: LEAVING,
  'old-lead': OLD_LEAD,
  'half-open': HALF_OPEN,
} satisfies Record<string, Scene>;

/** The name of one. */
export type SceneName = keyof typeof SCENES;

/** What happens in a scene, in any order. */
export function sceneOf(name: SceneName): Scene {
  return SCENES[name];
}
