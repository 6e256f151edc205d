// Mistakes in sessions, authority and tables of hosts (protocol.md §3).

import { ANY, type ListedMutant } from './listed.js';

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
];
