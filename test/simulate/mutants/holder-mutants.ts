// Mistakes of the leading server: in its lead, its plans and its brakes (protocol.md §5, docs/placement.md).

import { AIMED } from './aimed-fields.js';
import { ANY, type ListedMutant, RESTARTS, SCENE_FIELDS, SICK } from './listed.js';

/** See the top of the file. */
export const HOLDER_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'holder-acts-on',
    rule: '§5.1 ◆',
    mistake: 'A holder goes on acting after its renewals are not confirmed any more',
    module: '@leasehold/server/domain/lease',
    edits: [['ACT_MS = 4_000;', 'ACT_MS = Infinity;']],
    caughtBy: ['S6'],
    field: ANY,
  },
  {
    name: 'holder-counts-from-receipt',
    rule: '§5.1 ◆',
    mistake: 'A holder counts from the receipt of its renewal, not from its send',
    module: '@leasehold/server/domain/lease',
    edits: [['record, confirmedMs: sentMs }', 'record, confirmedMs: nowMs }']],
    caughtBy: ['S6'],
    field: AIMED.stalled,
  },
  {
    name: 'no-claims',
    rule: '§5.2 ◆',
    mistake: 'A new holder acts in networks that it did not claim',
    module: '@leasehold/server/app/claims',
    edits: [['if (holderEpoch < this.#epoch)', 'if (false)']],
    also: [
      {
        module: '@leasehold/server/app/deployment',
        edits: [
          ['if (holderEpoch === epoch && !view.isReading)', 'if (true)'],
          ['return holderEpoch === this.#options.epoch && this.#claimed.get(networkId) === uid;', 'return true;'],
        ],
      },
      {
        module: '@leasehold/server/app/reclaimer',
        edits: [['if (!network || network.holderEpoch === this.#epoch)', 'if (true)']],
      },
      {
        module: '@leasehold/server/app/manager',
        edits: [
          ['const isClaimed = network.holderEpoch === this.#epoch && !view.isReading;', 'const isClaimed = true;'],
          ['await store.networks.put({ ...after, holderEpoch: this.#epoch });', 'await store.networks.put(after);'],
          ['if (!this.mayAct || network.holderEpoch > this.#epoch)', 'if (!this.mayAct)'],
        ],
      },
    ],
    caughtBy: ['S4'],
    field: AIMED.behind,
  },
  {
    name: 'claims-believed-while-reading',
    rule: '§2.7',
    mistake: 'A claim that a snapshot shows before its slots is believed',
    module: '@leasehold/server/app/deployment',
    edits: [['if (holderEpoch === epoch && !view.isReading)', 'if (holderEpoch === epoch)']],
    caughtBy: ['S4'],
    field: AIMED.behind,
  },
  {
    name: 'lower-holders-write',
    rule: '§5.2 ◆',
    mistake: 'A holder writes networks that a later one claimed',
    module: '@leasehold/server/app/manager',
    edits: [['if (!this.mayAct || network.holderEpoch > this.#epoch)', 'if (!this.mayAct)']],
    caughtBy: ['S6'],
    field: AIMED['old-lead'],
  },
  {
    name: 'frees-while-still',
    rule: '§7',
    mistake: 'Addresses are freed though the store is an older copy of itself',
    module: '@leasehold/server/app/reclaimer',
    edits: [['return this.#mayAct && !this.#context.holdsStill();', 'return this.#mayAct;']],
    caughtBy: ['H1'],
    field: AIMED['old-lead'],
  },
  {
    name: 'reserves-while-still',
    rule: '§7',
    mistake: 'Free addresses are handed out though the store is an older copy of itself',
    module: '@leasehold/server/app/reserve',
    edits: [
      ['const because = this.#context.holdsStill();', 'const because = undefined;'],
      ['if (this.#context.holdsStill()) {', 'if (false) {'],
      ["if (this.#context.holdsStill())\n            return 'again';", ''],
    ],
    caughtBy: ['H1'],
    field: AIMED['old-lead'],
  },
  {
    name: 'challenges-at-once',
    rule: '§5.1',
    mistake: 'A server takes the lead after a second without a beat',
    module: '@leasehold/server/domain/lease',
    edits: [['const CHALLENGE_MS = 5_000;', 'const CHALLENGE_MS = 1_000;']],
    caughtBy: ['S6'],
    field: ANY,
  },
  {
    name: 'no-mass-silence-brake',
    rule: 'placement',
    mistake: 'That most hosts fell silent at once means that most hosts died',
    module: '@leasehold/server/domain/brakes',
    edits: [['return silent >= MASS_HOSTS && silent * 100 >= MASS_PERCENT * counted;', 'return false;']],
    caughtBy: ['S8'],
    field: SICK,
  },
  {
    name: 'ages-kept-over-stalls',
    rule: 'placement',
    mistake: 'A server that stood still believes that all others did, and that who is heard hears',
    module: '@leasehold/server/app/manager',
    edits: [['this.#fleet.restartAges();', '']],
    also: [
      {
        module: '@leasehold/server/domain/contact',
        edits: [
          [
            'return !contact.isShown || isGap(contact, intervalMs, nowMs) || nowMs - contact.mendedMs < recentMs;',
            'return false;',
          ],
        ],
      },
    ],
    caughtBy: ['S8'],
    field: SICK,
  },
  {
    name: 'no-grace-after-starts',
    rule: 'placement',
    mistake: 'A server that just began to lead gives hosts no time to find it',
    module: '@leasehold/server/app/fleet',
    edits: [
      ['this.#termGraceMs = this.#graceMs;', 'this.#termGraceMs = 0;'],
      ['this.#restartGraceMs = this.#termGraceMs;', 'this.#restartGraceMs = 0;'],
    ],
    caughtBy: ['S8'],
    field: RESTARTS,
  },
  {
    name: 'broken-streams-are-dead-hosts',
    rule: 'placement',
    mistake: 'A host whose stream broke is dead',
    module: '@leasehold/server/domain/liveness',
    edits: [
      [
        'if (isReturning(heard, nowMs))',
        "if (heard.brokenSinceMs !== undefined) return 'down'; if (isReturning(heard, nowMs))",
      ],
    ],
    caughtBy: ['S8'],
    field: SCENE_FIELDS.upgrades,
  },
  {
    name: 'placement-epochs-repeat',
    rule: '§1',
    mistake: 'A placement has the epoch of the one before it',
    module: '@leasehold/server/domain/placement',
    edits: [['const epoch = network.placementCounter + 1;', 'const epoch = Math.max(1, network.placementCounter);']],
    caughtBy: ['S4', 'S5', 'L3', 'L'],
    field: ANY,
  },
  {
    name: 'one-server-too-many',
    rule: 'placement',
    mistake: 'One host more than wanted serves a network',
    module: '@leasehold/server/domain/plan',
    edits: [['while (staying.length + place.length < wanted)', 'while (staying.length + place.length <= wanted)']],
    caughtBy: ['S1'],
    field: ANY,
  },
  {
    name: 'watches-skip',
    rule: 'S12',
    mistake: 'A watch that is resumed leaves out what came first',
    module: '@leasehold/server/app/events',
    edits: [['for (let i = skip; i < events.length; i++)', 'for (let i = skip + 1; i < events.length; i++)']],
    caughtBy: ['S12'],
    field: ANY,
  },
];
