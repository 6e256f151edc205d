// Every command, in the order of help.

import type { Command } from './command.js';
import { auditCommands } from './commands/audit.js';
import { historyCommands } from './commands/history.js';
import { hostCommands } from './commands/host.js';
import { networkCommands } from './commands/network.js';
import { placementCommands } from './commands/placement.js';
import { reservationCommands } from './commands/reservation.js';
import { statusCommands } from './commands/status.js';
import { subnetCommands } from './commands/subnet.js';
import { watchCommands } from './commands/watch.js';

/** Every command. */
export const COMMANDS: readonly Command[] = [
  ...reservationCommands,
  ...historyCommands,
  ...networkCommands,
  ...subnetCommands,
  ...hostCommands,
  ...placementCommands,
  ...auditCommands,
  ...watchCommands,
  ...statusCommands,
];
