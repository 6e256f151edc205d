// Every command, in the order of help.

import type { Command } from './command.js';
import { hostCommands } from './commands/host.js';
import { networkCommands } from './commands/network.js';
import { placementCommands } from './commands/placement.js';
import { reservationCommands } from './commands/reservation.js';
import { statusCommands } from './commands/status.js';
import { subnetCommands } from './commands/subnet.js';

/** Every command. */
export const COMMANDS: readonly Command[] = [
  ...reservationCommands,
  ...networkCommands,
  ...subnetCommands,
  ...hostCommands,
  ...placementCommands,
  ...statusCommands,
];
