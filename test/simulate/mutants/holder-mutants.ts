// Mistakes of the leading server: in its lead, its plans and its brakes (protocol.md §5, docs/placement.md).

import { ANY, type ListedMutant } from './listed.js';

/** See the top of the file. */
export const HOLDER_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'holder-acts-on',
    rule: '§5.1 ◆',
    mistake: 'A holder goes on acting after its renewals are not confirmed any more',
    module: '@leasehold/server/domain/lease',
    edits: [['const ACT_MS = 4_000;', 'const ACT_MS = Infinity;']],
    caughtBy: ['S6'],
    field: ANY,
  },
];
