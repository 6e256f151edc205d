// The hosts of an embedded store.

import type { Host } from '../../domain/host.js';
import { type HostId, isStill, type Revision } from '../../domain/ids.js';
import type { HostStore } from '../../ports/store.js';
import { putEvent } from './audit.js';
import type { GroupCommit } from './group-commit.js';
import { idKey } from './keys.js';
import type { Tables } from './tables.js';

/** Serves the hosts. */
export function hostStore(tables: Tables, commit: GroupCommit): HostStore {
  const { hosts } = tables;
  const parse = (text: string | undefined) => (text === undefined ? undefined : (JSON.parse(text) as Host));
  const current = (hostId: HostId) => parse(hosts.get(idKey(hostId)));
  const durable = (hostId: HostId) => parse(hosts.durable(idKey(hostId)));
  return {
    async get(hostId) {
      commit.check();
      return durable(hostId);
    },
    put: (host, event) =>
      commit.submit((changes) => {
        const before = current(host.hostId);
        if (!isStill(before, host)) return 'conflict';
        const written = { ...host, revision: (host.revision + 1) as Revision };
        hosts.put(idKey(host.hostId), JSON.stringify(written));
        putEvent(tables, event);
        changes.push({ kind: 'host', host: written, ...(before && { before }) });
        return written;
      }),
    remove: (host, event) =>
      commit.submit((changes) => {
        const { hostId } = host;
        const before = current(hostId);
        if (!before || !isStill(before, host)) return 'conflict';
        hosts.remove(idKey(hostId));
        putEvent(tables, event);
        changes.push({ kind: 'host-gone', hostId, before });
        return 'removed';
      }),
  };
}
