// All mistakes that the simulation must catch. docs/simulation.md has them as a table.

import { AGENT_MUTANTS } from './agent-mutants.js';
import { HOLDER_MUTANTS } from './holder-mutants.js';
import type { ListedMutant } from './listed.js';
import { MANAGER_MUTANTS } from './manager-mutants.js';
import { RESERVING_MUTANTS } from './reserving-mutants.js';
import { REUSE_MUTANTS } from './reuse-mutants.js';

export type { ListedMutant } from './listed.js';

/** All of them. */
export const MUTANTS: readonly ListedMutant[] = [
  ...RESERVING_MUTANTS,
  ...AGENT_MUTANTS,
  ...REUSE_MUTANTS,
  ...HOLDER_MUTANTS,
  ...MANAGER_MUTANTS,
];

/** The one of this name. */
export function mutantOf(name: string): ListedMutant | undefined {
  return MUTANTS.find((mutant) => mutant.name === name);
}
