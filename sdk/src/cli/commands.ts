// Every command, in the order of help.

import type { Command } from './command.js';
import { auditCommands } from './commands/audit.js';
import { completionCommands } from './commands/completion.js';
import { doctorCommands } from './commands/doctor.js';
import { historyCommands } from './commands/history.js';
import { hostCommands } from './commands/host.js';
import { importCommands } from './commands/import.js';
import { networkCommands } from './commands/network.js';
import { placementCommands } from './commands/placement.js';
import { releaseManyCommands } from './commands/release-many.js';
import { reservationCommands } from './commands/reservation.js';
import { statusCommands } from './commands/status.js';
import { subnetCommands } from './commands/subnet.js';
import { watchCommands } from './commands/watch.js';

/** Every command. */
export const COMMANDS: readonly Command[] = [
  ...reservationCommands,
  ...importCommands,
  ...releaseManyCommands,
  ...historyCommands,
  ...networkCommands,
  ...subnetCommands,
  ...hostCommands,
  ...placementCommands,
  ...auditCommands,
  ...watchCommands,
  ...statusCommands,
  ...doctorCommands,
  ...completionCommands,
];
