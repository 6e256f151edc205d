// The hosts of an embedded store.

import type { Host } from '../../domain/host.js';
import type { HostId, Revision } from '../../domain/ids.js';
import type { HostStore } from '../../ports/store.js';
import type { Databases } from './databases.js';
import type { GroupCommit } from './group-commit.js';
import { idKey } from './keys.js';

/** Serves the hosts. */
export function hostStore({ hosts }: Databases, commit: GroupCommit): HostStore {
  const read = (hostId: HostId): Host | undefined => {
    const text = hosts.get(idKey(hostId));
    return text === undefined ? undefined : (JSON.parse(text) as Host);
  };
  return {
    async get(hostId) {
      commit.check();
      return read(hostId);
    },
    async *scan() {
      commit.check();
      const ids = [...hosts.getKeys()].map((key) => key.toString() as HostId);
      for (const hostId of ids) {
        commit.check();
        const host = read(hostId);
        if (host) yield host;
      }
    },
    put: (host) =>
      commit.submit((changes) => {
        if ((read(host.hostId)?.revision ?? 0) !== host.revision) return 'conflict';
        const written = { ...host, revision: (host.revision + 1) as Revision };
        hosts.putSync(idKey(host.hostId), JSON.stringify(written));
        changes.push({ kind: 'host', host: written });
        return written;
      }),
    remove: (hostId, revision) =>
      commit.submit((changes) => {
        if (read(hostId)?.revision !== revision) return 'conflict';
        hosts.removeSync(idKey(hostId));
        changes.push({ kind: 'host-gone', hostId });
        return 'removed';
      }),
  };
}
