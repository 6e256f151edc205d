// Mistakes in what the manager does about hosts that die, or do not do what they are told (docs/placement.md).

import { type ListedMutant, SCENE_FIELDS } from './listed.js';

/** See the top of the file. */
export const MANAGER_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'no-budget',
    rule: 'placement',
    mistake: 'Any number of hosts that are believed dead loses placements at once',
    module: '@leasehold/server/domain/brakes',
    edits: [['if (recent.size >= budget)', 'if (false)']],
    caughtBy: ['S9'],
    field: SCENE_FIELDS.deaths,
  },
  {
    name: 'one-breaker-for-all',
    rule: 'placement',
    mistake: 'One breaker is around the commands to all hosts',
    module: '@leasehold/server/app/fleet',
    edits: [
      ['const known = this.#breakers.get(hostId);', "const known = this.#breakers.get('');"],
      ['this.#breakers.set(hostId, breaker);', "this.#breakers.set('', breaker);"],
      ['this.#breakers.get(host.hostId)?.state', "this.#breakers.get('')?.state"],
    ],
    caughtBy: ['L1'],
    field: SCENE_FIELDS.breakers,
  },
];
