// Mistakes in the rule when a released address goes to another MAC (protocol.md §4).

import { ANY, type ListedMutant } from './listed.js';

/** See the top of the file. */
export const REUSE_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'former-servers-not-counted',
    rule: '§4 ◆',
    mistake: 'Hosts that a network was taken from are not waited for',
    module: '@leasehold/server/domain/reuse',
    edits: [
      [
        'return [...placements, ...formerServers.filter(({ counter }) => counter >= chainCounter)];',
        'return placements;',
      ],
    ],
    caughtBy: ['S4', 'A2', 'S2'],
    field: ANY,
  },
];
