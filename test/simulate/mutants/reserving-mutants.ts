// Mistakes in reserving, releasing and changing what may be reserved (protocol.md §2).

import { ANY, COLLISIONS, type ListedMutant } from './listed.js';

/** See the top of the file. */
export const RESERVING_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'no-check-after-write',
    rule: '§2.2 ◆',
    mistake: 'A reservation is answered without a look at what changed in its network while it was written',
    module: '@leasehold/server/app/reserve',
    edits: [['const refused = misfit(network, slot);', 'const refused = undefined;']],
    caughtBy: ['S3'],
    field: COLLISIONS,
  },
  {
    name: 'marks-unheeded',
    rule: '§2.3 ◆',
    mistake: 'Who reserves does not heed the mark of a change under way',
    module: '@leasehold/server/domain/fits',
    edits: [['const forbidden = mark?.subnetId === subnet.subnetId ? mark.forbidden : [];', 'const forbidden = [];']],
    caughtBy: ['S3'],
    field: COLLISIONS,
  },
  {
    name: 'changes-unmarked',
    rule: '§2.3 ◆',
    mistake: 'A change looks through the slots without having set a mark',
    module: '@leasehold/server/app/subnets',
    edits: [
      [
        'const marked = await store.networks.put({ ...network, mark });',
        'const marked = await store.networks.put(network);',
      ],
      ['while (current?.mark?.operationId === mark.operationId)', 'while (current)'],
    ],
    caughtBy: ['S3'],
    field: COLLISIONS,
  },
  {
    name: 'marks-stay',
    rule: '§2.3',
    mistake: 'The mark of a server that died stays for ever',
    module: '@leasehold/server/app/manager',
    edits: [['if (clock.now() - seenMs < MARK_LIFETIME_MS)', 'if (true)']],
    caughtBy: ['L'],
    field: COLLISIONS,
  },
  {
    name: 'resting-given-to-others',
    rule: '§1',
    mistake: 'A MAC that proposes an address that rests for another gets it',
    module: '@leasehold/server/app/reserve',
    edits: [['if (there.mac !== command.mac)', "if (there.mac !== command.mac && there.state === 'reserved')"]],
    caughtBy: ['S4'],
    field: ANY,
  },
];
