// The process that outlives an agent with the dnsmasq backend.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestHost } from './cluster.js';

/** The identity of a host's keeper, for `killIdentified`; undefined: there is none. */
export function keeperOf(host: TestHost): string | undefined {
  try {
    return readFileSync(join(host.stateDirectory, 'dnsmasq', 'keeper.pid'), 'latin1');
  } catch {
    return undefined;
  }
}
