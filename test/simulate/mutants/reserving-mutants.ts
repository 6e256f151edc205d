// Mistakes in reserving, releasing and changing what may be reserved (protocol.md §2).

import { ANY, type ListedMutant } from './listed.js';

/** See the top of the file. */
export const RESERVING_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'no-check-after-write',
    rule: '§2.2 ◆',
    mistake: 'A reservation is answered without a look at what changed in its network while it was written',
    module: '@leasehold/server/app/reserve',
    edits: [['const refused = misfit(network, slot);', 'const refused = undefined;']],
    caughtBy: ['S3', 'S5'],
    field: ANY,
  },
];
