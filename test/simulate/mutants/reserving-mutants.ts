// Mistakes in reserving, releasing and changing what may be reserved (protocol.md §2).

import { ANY, type ListedMutant, SCENE_FIELDS } from './listed.js';

/** See the top of the file. */
export const RESERVING_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'no-check-after-write',
    rule: '§2.2 ◆',
    mistake: 'A reservation is answered without a look at what changed in its network while it was written',
    module: '@leasehold/server/app/reserve',
    edits: [['const refused = misfit(network, slot);', 'const refused = undefined;']],
    caughtBy: ['S3'],
    field: SCENE_FIELDS.collisions,
  },
  {
    name: 'marks-unheeded',
    rule: '§2.3 ◆',
    mistake: 'Who reserves does not heed the mark of a change under way',
    module: '@leasehold/server/domain/fits',
    edits: [['const forbidden = mark?.subnetId === subnet.subnetId ? mark.forbidden : [];', 'const forbidden = [];']],
    caughtBy: ['S3'],
    field: SCENE_FIELDS.collisions,
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
    field: SCENE_FIELDS.collisions,
  },
  {
    name: 'changes-without-their-mark',
    rule: '§2.3 ◆',
    mistake: 'A change is made although its mark is gone',
    module: '@leasehold/server/app/subnets',
    edits: [['while (current?.mark?.operationId === mark.operationId)', 'while (current)']],
    caughtBy: ['S3'],
    field: SCENE_FIELDS.changes,
  },
  {
    name: 'unknown-taken-for-undone',
    rule: '§2.4',
    mistake: 'When nobody knows whether an address was written, the answer is that nothing was done',
    module: '@leasehold/server/app/reserve',
    edits: [
      [
        "import { OutcomeUnknownError } from '../ports/store.js';",
        "import { OutcomeUnknownError, StoreUnavailableError } from '../ports/store.js';",
      ],
      [
        'throw error;',
        "throw error instanceof OutcomeUnknownError ? new StoreUnavailableError('Not known in time') : error;",
      ],
    ],
    caughtBy: ['S3'],
    field: SCENE_FIELDS.unknowns,
  },
  {
    name: 'requests-not-remembered',
    rule: '§2.5',
    mistake: 'A reservation does not say which request made it',
    module: '@leasehold/server/app/reserve',
    edits: [['...(request ? { request } : {}),', '']],
    caughtBy: ['S3'],
    field: SCENE_FIELDS.repeats,
  },
  {
    name: 'lowest-address-first',
    rule: 'ADR 10',
    mistake: 'Every server offers the lowest address that it knows to be free',
    module: '@leasehold/server/domain/subnet-space',
    edits: [['this.#outOfTheWay(this.#taken.nextFree(this.#offset))', 'this.#taken.nextFree(0)']],
    caughtBy: ['C1'],
    field: SCENE_FIELDS.batches,
  },
  {
    name: 'marks-stay',
    rule: '§2.3',
    mistake: 'The mark of a server that died stays for ever',
    module: '@leasehold/server/app/manager',
    edits: [['if (clock.now() - seenMs < MARK_LIFETIME_MS)', 'if (true)']],
    caughtBy: ['L'],
    field: SCENE_FIELDS.collisions,
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
  {
    name: 'guard-ignored',
    rule: '§2.6',
    mistake: 'A release by address takes the address from whoever has it by now',
    module: '@leasehold/server/app/release',
    edits: [
      ['if (command.reservationId !== undefined && command.reservationId !== tenure.reservationId)', 'if (false)'],
    ],
    caughtBy: ['S3'],
    field: SCENE_FIELDS.lateReleases,
  },
  {
    name: 'release-requests-not-remembered',
    rule: '§2.6',
    mistake: 'A release does not say which request made it: repeated, it takes the address from who has it by now',
    module: '@leasehold/server/app/release',
    edits: [['call.caller, command.guestStopped, request)', 'call.caller, command.guestStopped)']],
    caughtBy: ['S3'],
    field: SCENE_FIELDS.lateReleases,
  },
];
