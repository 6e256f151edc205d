// Mistakes in sessions, authority and tables of hosts (protocol.md §3).

import { ANY, type ListedMutant } from './listed.js';

/** See the top of the file. */
export const AGENT_MUTANTS: readonly ListedMutant[] = [
  {
    name: 'lapsed-authority-returns',
    rule: '§3.3 ◆',
    mistake: 'An acknowledgement, of whatever the agent says to have, brings back authority that lapsed',
    module: '@leasehold/agent/session/authority',
    edits: [['if (!confirmed && !isRunning(authority, nowMs))', 'if (false)']],
    also: [
      {
        // What it lists was confirmed in the session already: the agent's own look is the second one.
        module: '@leasehold/server/adapters/agents/session',
        edits: [['if (assignment && !withdrawing)', 'if (!withdrawing)']],
      },
    ],
    caughtBy: ['A1', 'S4'],
    field: ANY,
  },
  {
    name: 'authority-from-receipt',
    rule: '§3.3 ◆',
    mistake: 'Authority counts from the receipt of the acknowledgement, not from the send of the heartbeat',
    module: '@leasehold/agent/session/authority',
    edits: [['untilMs: ack.sentMs + ack.authorityMs', 'untilMs: nowMs + ack.authorityMs']],
    caughtBy: ['A1', 'S4'],
    field: ANY,
  },
];
