// The hosts of an embedded store.

import type { Host } from '../../domain/host.js';
import type { HostId, Revision } from '../../domain/ids.js';
import type { HostStore } from '../../ports/store.js';
import type { GroupCommit } from './group-commit.js';
import { idKey } from './keys.js';
import type { Tables } from './tables.js';

/** Serves the hosts. */
export function hostStore({ hosts }: Tables, commit: GroupCommit): HostStore {
  const parse = (text: string | undefined) => (text === undefined ? undefined : (JSON.parse(text) as Host));
  const current = (hostId: HostId) => parse(hosts.get(idKey(hostId)));
  const durable = (hostId: HostId) => parse(hosts.durable(idKey(hostId)));
  return {
    async get(hostId) {
      commit.check();
      return durable(hostId);
    },
    async *scan() {
      commit.check();
      const ids = Array.from(hosts.range(Number.MAX_SAFE_INTEGER), ({ key }) => key.toString() as HostId);
      for (const hostId of ids) {
        commit.check();
        const host = durable(hostId);
        if (host) yield host;
      }
    },
    put: (host) =>
      commit.submit((changes) => {
        if ((current(host.hostId)?.revision ?? 0) !== host.revision) return 'conflict';
        const written = { ...host, revision: (host.revision + 1) as Revision };
        hosts.put(idKey(host.hostId), JSON.stringify(written));
        changes.push({ kind: 'host', host: written });
        return written;
      }),
    remove: (hostId, revision) =>
      commit.submit((changes) => {
        if (current(hostId)?.revision !== revision) return 'conflict';
        hosts.remove(idKey(hostId));
        changes.push({ kind: 'host-gone', hostId });
        return 'removed';
      }),
  };
}
