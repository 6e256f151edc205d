// `leasehold status`

import { command } from '../command.js';
import { item } from '../output.js';

/** The command about the installation. */
export const statusCommands = [
  command({
    path: ['status'],
    summary: 'Shows how the installation is',
    args: {},
    flags: {},
    examples: ['status', 'status --server unix:/run/leasehold.sock -o json'],
    run: async (leasehold) => item({ enums: { breaker: 'BREAKER_STATE_' } }, await leasehold.status()),
  }),
];
