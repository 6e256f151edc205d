// The networks of an embedded store: on disk, and in memory because every write of a slot answers with one.

import { setImmediate } from 'node:timers/promises';
import type { Change } from '../../domain/change.js';
import { isStill, type NetworkId, type Revision } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { NetworkStore } from '../../ports/store.js';
import { putEvent } from './audit.js';
import type { GroupCommit } from './group-commit.js';
import { idKey } from './keys.js';
import { NetworkIndex } from './network-index.js';
import type { Tables } from './tables.js';

const READ_AT_ONCE = 100;

/** The networks, and what the other parts of the store need of them. */
export interface EmbeddedNetworks {
  readonly store: NetworkStore;
  /** A network as a job of the group commit has it to see. */
  current(networkId: NetworkId): Network | undefined;
  /** The ids of the networks, in order. */
  ids(): readonly NetworkId[];
  /** Shows what became durable. */
  onDurable(changes: readonly Change[]): void;
}

/** Reads every network and serves them. */
export async function openNetworks(tables: Tables, commit: GroupCommit): Promise<EmbeddedNetworks> {
  const current = new NetworkIndex();
  const durable = new NetworkIndex();
  let read = 0;
  for (const { value } of tables.networks.range(Number.MAX_SAFE_INTEGER)) {
    const network = JSON.parse(value) as Network;
    current.put(network);
    durable.put(network);
    if (++read % READ_AT_ONCE === 0) await setImmediate();
  }
  return {
    store: networkStore(tables, commit, current, durable),
    current: (networkId) => current.get(networkId),
    ids: () => durable.ids(),
    onDurable(changes) {
      for (const change of changes) {
        if (change.kind === 'network') durable.put(change.network);
        else if (change.kind === 'network-gone') durable.remove(change.networkId);
      }
    },
  };
}

function networkStore(tables: Tables, commit: GroupCommit, current: NetworkIndex, durable: NetworkIndex): NetworkStore {
  return {
    async get(networkId) {
      commit.check();
      return durable.get(networkId);
    },
    async findBySubnet(subnetId) {
      commit.check();
      const owner = durable.owner(subnetId);
      return owner && durable.get(owner);
    },
    put: (network, over = network, event) =>
      commit.submit((changes) => {
        const before = current.get(network.networkId);
        if (!isStill(before, { uid: over.uid, revision: network.revision })) return 'conflict';
        const owners = network.subnets.map(({ subnetId }) => current.owner(subnetId) ?? network.networkId);
        if (owners.some((owner) => owner !== network.networkId)) return 'subnet-taken';
        const written = { ...network, revision: (network.revision + 1) as Revision };
        tables.networks.put(idKey(network.networkId), JSON.stringify(written));
        putEvent(tables, event);
        current.put(written);
        changes.push({ kind: 'network', network: written, ...(before && { before }) });
        return written;
      }),
    remove: (network) =>
      commit.submit((changes) => {
        const { networkId } = network;
        const before = current.get(networkId);
        if (!before || !isStill(before, network)) return 'conflict';
        tables.networks.remove(idKey(networkId));
        current.remove(networkId);
        changes.push({ kind: 'network-gone', networkId, before });
        return 'removed';
      }),
  };
}
