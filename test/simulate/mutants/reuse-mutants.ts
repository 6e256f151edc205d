// Mistakes in the rule when a released address goes to another MAC (protocol.md §4).

import { ANY, GUESTS, type ListedMutant } from './listed.js';

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
    caughtBy: ['S4'],
    field: ANY,
  },
  {
    name: 'counters-compared-wrongly',
    rule: '§4 ◆',
    mistake: 'The former servers that stopped before the chain are counted, and the others are not',
    module: '@leasehold/server/domain/reuse',
    edits: [['counter >= chainCounter', 'counter < chainCounter']],
    caughtBy: ['S4'],
    field: ANY,
  },
  {
    name: 'counters-off-by-one',
    rule: '§4 ◆',
    mistake: 'A former server that stopped at the counter of the chain is not counted',
    module: '@leasehold/server/domain/reuse',
    edits: [['counter >= chainCounter', 'counter > chainCounter']],
    caughtBy: ['S4'],
    field: ANY,
  },
  {
    name: 'lease-time-alone',
    rule: '§4 ◆',
    mistake: 'A released address rests for a lease time, whatever hosts have acknowledged',
    module: '@leasehold/server/domain/reuse',
    edits: [
      ['if (silencedMs > nowMs)', 'if (false)'],
      [
        'return vouched ? quietMs : quietMs + atMostMs(leaseTimeCeilingS);',
        'return seenMs + atMostMs(leaseTimeCeilingS);',
      ],
    ],
    caughtBy: ['S2', 'S4'],
    field: ANY,
  },
  {
    name: 'no-lease-time',
    rule: '§4 ◆',
    mistake: 'No release is thought to leave a guest that lives on its lease',
    module: '@leasehold/server/domain/reuse',
    edits: [['return vouched ? quietMs : quietMs + atMostMs(leaseTimeCeilingS);', 'return quietMs;']],
    caughtBy: ['S2'],
    field: GUESTS,
  },
  {
    name: 'former-servers-forgotten-early',
    rule: '§1',
    mistake: 'A former server that is away is forgotten',
    module: '@leasehold/server/app/former-servers',
    edits: [
      [
        'view.hosts.get(hostId)?.uid !== hostUid || !hosts.host(hostId)?.connected',
        'view.hosts.get(hostId)?.uid !== hostUid',
      ],
    ],
    caughtBy: ['S4'],
    field: ANY,
  },
  {
    name: 'every-release-vouches',
    rule: '§4 ◆',
    mistake: 'Every release counts as if its guest were stopped',
    module: '@leasehold/server/app/release',
    edits: [['call.caller, command.guestStopped, request)', 'call.caller, true, request)']],
    caughtBy: ['S2'],
    field: GUESTS,
  },
];
