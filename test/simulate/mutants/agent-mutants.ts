// Mistakes in sessions, authority and tables of hosts (protocol.md §3).

import { ANY, type ListedMutant, SCENE_FIELDS } from './listed.js';

/** See the top of the file. */
export const AGENT_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'authority-from-receipt',
    rule: '§3.3 ◆',
    mistake: 'Authority counts from the receipt of the acknowledgement, not from the send of the heartbeat',
    module: '@leasehold/agent/session/authority',
    edits: [['untilMs: ack.sentMs + ack.authorityMs', 'untilMs: nowMs + ack.authorityMs']],
    caughtBy: ['A1'],
    field: ANY,
  },
  {
    name: 'authority-looked-at-by-heartbeats',
    rule: '§3.3 ◆',
    mistake: 'Authority is looked at whenever a heartbeat is acknowledged, not whenever a guest asks',
    module: '@leasehold/agent/served-network',
    edits: [
      [
        'const wasRunning = isRunning(this.#authority, now);',
        'const wasRunning = isRunning(this.#authority, now); this.lookedMs = now;',
      ],
      [
        'return standing(this.#authority, this.#ports.clock.now(),',
        'return standing(this.#authority, this.lookedMs ?? this.#ports.clock.now(),',
      ],
    ],
    caughtBy: ['A1'],
    field: ANY,
  },
  {
    name: 'authority-survives-reboots',
    rule: '§3.3 ◆',
    mistake: 'Authority that was stored is believed after a reboot',
    module: '@leasehold/agent/networks',
    edits: [['agent?.bootId === bootId ?', 'agent ?']],
    caughtBy: ['A1'],
    field: ANY,
  },
  {
    name: 'acknowledged-before-written',
    rule: '§3.2 ◆',
    mistake: 'A table is acknowledged before it is on the disk',
    module: '@leasehold/agent/served-network',
    edits: [
      [
        'this.#applied = delivery.sequence;',
        'this.#applied = delivery.sequence; this.#acked = this.#applied; this.#reached = { sequence: this.#applied, digest: this.replica.digest(), entries: this.replica.table.size }; this.#context.sendAck(this.tableState());',
      ],
    ],
    caughtBy: ['D1'],
    field: ANY,
  },
  {
    name: 'acknowledged-though-not-written',
    rule: '§3.2 ◆',
    mistake: 'A table that could not be written is acknowledged all the same',
    module: '@leasehold/agent/served-network',
    edits: [['return this.#diskFailed(error);', '{ this.#reached = reached; return this.#diskFailed(error); }']],
    caughtBy: ['D1'],
    field: ANY,
  },
  {
    name: 'left-before-removed',
    rule: '§3.2 ◆',
    mistake: 'An agent says that it left a network before its files are gone',
    module: '@leasehold/agent/networks',
    edits: [
      [
        'await this.#ports.state.removeTable(networkId);',
        'this.#ports.state.removeTable(networkId).catch(() => undefined);',
      ],
    ],
    caughtBy: ['D1'],
    field: ANY,
  },
  {
    name: 'sent-counts-as-taken-in',
    rule: '§3.2 ◆',
    mistake: 'What a host was sent counts as taken in',
    module: '@leasehold/server/adapters/agents/session',
    edits: [['hasTable && ackedSequence === sentSequence && removals.length === 0 ?', 'true ?']],
    caughtBy: ['S4'],
    field: ANY,
  },
  {
    name: 'resting-stay-in-tables',
    rule: '§3.2',
    mistake: 'A released address stays in the tables until it is free',
    module: '@leasehold/server/app/deployment',
    edits: [["else if (change.kind === 'slot') {", "else if (change.kind === 'slot' && false) {"]],
    caughtBy: ['S4'],
    field: ANY,
  },
  {
    name: 'heartbeats-acknowledged-unrenewed',
    rule: '§3.4 ◆',
    mistake: 'A heartbeat is acknowledged without a renewal of the lease that began after it came',
    module: '@leasehold/server/adapters/agents/agent-sessions',
    edits: [['lease.confirm().then(acknowledge,', 'Promise.resolve().then(acknowledge,']],
    caughtBy: ['S4'],
    field: SCENE_FIELDS.deposed,
  },
  {
    name: 'lower-sessions-accepted',
    rule: '§3.1 ◆',
    mistake: 'An agent goes on in a session of a lower epoch, with a server that does not ask what the agent has seen',
    module: '@leasehold/agent/session/session',
    edits: [['if (compareEpochs(epoch, known.highestEpoch) >= 0)', 'if (true)']],
    also: [
      {
        // A server whose store is older refuses whoever knows more: nobody is welcomed then.
        module: '@leasehold/server/adapters/agents/admission',
        edits: [['const older = this.#whyOlder(hostId.value, seen.value, holderEpoch);', 'const older = undefined;']],
      },
    ],
    caughtBy: ['S6'],
    field: SCENE_FIELDS.oldLeadMore,
  },
  {
    name: 'lapsed-authority-returns',
    rule: '§3.3 ◆',
    mistake: 'An acknowledgement, of whatever the agent says to have, brings back authority that lapsed',
    module: '@leasehold/agent/session/authority',
    edits: [['if (!confirmed && !isRunning(authority, nowMs))', 'if (false)']],
    also: [
      {
        // An acknowledgement lists what was assigned in its session, and the table goes with the assignment.
        module: '@leasehold/server/adapters/agents/session',
        edits: [['if (assignment && !withdrawing)', 'if (!withdrawing)']],
      },
    ],
    caughtBy: ['A1'],
    field: SCENE_FIELDS.returning,
  },
  {
    name: 'placements-over-heeded',
    rule: '§3.1',
    mistake: 'An agent does as a placement says that is over, and hosts are told before a network is claimed',
    module: '@leasehold/agent/networks',
    edits: [['if (placementEpoch < known)', 'if (false)']],
    also: [
      {
        module: '@leasehold/agent/domain/replica',
        edits: [['if (delivery.placementEpoch < this.#placementEpoch)', 'if (false)']],
      },
      {
        // By a network that it claimed a server knows every placement before its own.
        module: '@leasehold/server/app/deployment',
        edits: [
          ['if (holderEpoch === epoch && !view.isReading)', 'if (true)'],
          ['return holderEpoch === this.#options.epoch && this.#claimed.get(networkId) === uid;', 'return true;'],
        ],
      },
    ],
    caughtBy: ['S6'],
    field: SCENE_FIELDS.outdated,
  },
  {
    name: 'removals-of-other-tenures',
    rule: '§3.2',
    mistake: 'A removal takes the address from whatever tenure has it, and is sent after what was put since',
    module: '@leasehold/agent/domain/table',
    edits: [['if (there && there.reservationId === delta.remove[i]?.reservationId)', 'if (there)']],
    also: [
      {
        // In their order, removals before puts, each names the tenure that is there.
        module: '@leasehold/server/adapters/agents/session',
        edits: [
          [
            'const remove = tracked.removals.splice(0, PART_ENTRIES);',
            'const put = takeFirst(tracked.puts, PART_ENTRIES);',
          ],
          [
            'const put = tracked.removals.length > 0 ? [] : takeFirst(tracked.puts, PART_ENTRIES - remove.length);',
            'const remove = put.length > 0 ? [] : tracked.removals.splice(0, PART_ENTRIES);',
          ],
        ],
      },
    ],
    caughtBy: ['S5', 'drift'],
    field: SCENE_FIELDS.rereading,
  },
  {
    name: 'puts-overtake-removals',
    rule: '§3.2',
    mistake: 'A put that was not sent yet comes after the removal of its address',
    module: '@leasehold/server/adapters/agents/session',
    edits: [['tracked.puts.delete(change.remove.address);', '']],
    caughtBy: ['S5', 'drift'],
    field: SCENE_FIELDS.rereading,
  },
  {
    name: 'puts-of-one-address-side-by-side',
    rule: '§3.2',
    mistake: 'Of two puts of one address that were not sent yet a removal takes back the one',
    module: '@leasehold/server/adapters/agents/session',
    edits: [['tracked.puts.set(put.address, put);', 'tracked.puts.set(put.address + put.hostname, put);']],
    caughtBy: ['S4', 'S5', 'drift'],
    field: SCENE_FIELDS.renames,
  },
  {
    name: 'changed-reservations-not-told',
    rule: '§3.2',
    mistake: 'What changes of a reservation that a table has is told to nobody',
    module: '@leasehold/server/adapters/agents/served-table',
    edits: [['if (before === printed)', 'if (before !== undefined)']],
    caughtBy: ['S4', 'S5', 'L'],
    field: SCENE_FIELDS.renames,
  },
  {
    name: 'reread-in-its-order',
    rule: '§3.2',
    mistake: 'What the store is found to have when it is read again is told before what it has not any more',
    module: '@leasehold/server/adapters/agents/provisions',
    edits: [['if (this.#late && this', 'if (false && this']],
    caughtBy: ['drift', 'S5', 'L3'],
    field: SCENE_FIELDS.moves,
  },
  {
    name: 'changes-told-to-one',
    rule: 'S5',
    mistake: 'Of the servers of a network one is told what changes',
    module: '@leasehold/server/adapters/agents/provisions',
    edits: [['if (session)\n                yield session;', 'if (session) { yield session; return; }']],
    caughtBy: ['S5'],
    field: ANY,
  },
  {
    name: 'former-servers-told-more',
    rule: '§3.2',
    mistake: 'A former server is told of new reservations',
    module: '@leasehold/server/adapters/agents/session',
    edits: [['if (tracked.removalsOnly)\n                return false;', '']],
    caughtBy: ['S4'],
    field: SCENE_FIELDS.leaving,
  },
  {
    name: 'older-session-stays',
    rule: '§3.1',
    mistake: 'Of two sessions of a host the older one stays',
    module: '@leasehold/server/adapters/agents/heard-hosts',
    edits: [['...{ session, about,', '...{ session: older ?? session, about,']],
    also: [
      {
        module: '@leasehold/server/adapters/agents/agent-sessions',
        edits: [['older?.end(sessionSuperseded(hostId).error);', '']],
      },
    ],
    caughtBy: ['L'],
    field: SCENE_FIELDS.halfOpen,
  },
  {
    name: 'digests-uncompared',
    rule: '§3.5',
    mistake: 'The table of a hello is confirmed without a look at its digest',
    module: '@leasehold/server/adapters/agents/session',
    edits: [
      [
        'if (reported && reported.length > 0 && table.digest().equals(reported))',
        'if (reported && reported.length > 0)',
      ],
    ],
    caughtBy: ['S4', 'S5', 'drift'],
    field: SCENE_FIELDS.halfOpen,
  },
  {
    name: 'digests-compared-at-any-sequence',
    rule: '§3.5',
    mistake: 'Digests are compared whatever sequence they are of',
    module: '@leasehold/server/adapters/agents/session',
    edits: [['if (unsent || Number(state.sequence) !== tracked.sentSequence)', 'if (false)']],
    caughtBy: ['drift'],
    field: SCENE_FIELDS.heldUp,
  },
  {
    name: 'snapshots-taken-in-by-parts',
    rule: '§3.2',
    mistake: 'The parts of a snapshot go into the table that answers, not aside',
    module: '@leasehold/agent/domain/replica',
    edits: [
      [
        'const table = new NetworkTable();\n        const assigned',
        'const table = this.table;\n        const assigned',
      ],
    ],
    caughtBy: ['S4', 'S5', 'drift'],
    field: SCENE_FIELDS.halfOpen,
  },
  {
    name: 'taken-in-at-receipt',
    rule: '§4 ◆',
    mistake: 'What was seen before an acknowledgement came counts as taken in, not what it acknowledges',
    module: '@leasehold/server/adapters/agents/session',
    edits: [['tracked.coveredMs = tracked.covers[0].atMs;', 'tracked.coveredMs = this.#now();']],
    caughtBy: ['S4'],
    field: SCENE_FIELDS.heldUp,
  },
  {
    name: 'unknown-counts-as-taken-in',
    rule: '§4 ◆',
    mistake: 'To a new holder a host that it did not hear has taken in everything',
    module: '@leasehold/server/adapters/agents/heard-hosts',
    edits: [
      ['host.session, networkId) : Number.NEGATIVE_INFINITY', 'host.session, networkId) : Number.POSITIVE_INFINITY'],
    ],
    caughtBy: ['S4'],
    field: SCENE_FIELDS.unheard,
  },
];
