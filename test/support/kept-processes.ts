// The processes that outlive an agent with the dnsmasq backend, by the files in its directory.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KEEPER_FILES } from '@leasehold/agent/backends/dnsmasq/system-keeper';
import { identityOf } from '@leasehold/agent/backends/dnsmasq/system-process';
import type { TestHost } from './cluster.js';

/** The identity of a host's keeper, for `killIdentified`; undefined: there is none. */
export function keeperOf(host: TestHost): string | undefined {
  return read(join(directoryOf(host), KEEPER_FILES.pid));
}

/** The dnsmasq processes of a host that are there. */
export function dnsmasqOf(host: TestHost): readonly number[] {
  return dnsmasqIn(directoryOf(host));
}

/** Those of a directory. Of one that has just ended the file may still be there. */
export function dnsmasqIn(directory: string): readonly number[] {
  const files = readdirSync(directory).filter(
    (name) => name.endsWith(KEEPER_FILES.serverPid) && name !== KEEPER_FILES.pid,
  );
  return files.flatMap((name) => {
    const identity = read(join(directory, name));
    if (identity === undefined) return [];
    const pid = Number(identity.split(' ')[0]);
    return identityOf(pid) === identity ? [pid] : [];
  });
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function directoryOf({ stateDirectory }: TestHost): string {
  return join(stateDirectory, 'dnsmasq');
}
