// The networks in memory, as of some moment, and which of them has a subnet.

import type { NetworkId, SubnetId } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';

/** Networks by id and by the ids of their subnets. */
export class NetworkIndex {
  readonly #byId = new Map<NetworkId, Network>();
  readonly #owners = new Map<SubnetId, NetworkId>();

  get(networkId: NetworkId): Network | undefined {
    return this.#byId.get(networkId);
  }

  /** The network that has a subnet. */
  owner(subnetId: SubnetId): NetworkId | undefined {
    return this.#owners.get(subnetId);
  }

  /** The ids, in order. */
  ids(): NetworkId[] {
    return [...this.#byId.keys()].sort();
  }

  put(network: Network): void {
    this.remove(network.networkId);
    this.#byId.set(network.networkId, network);
    for (const { subnetId } of network.subnets) this.#owners.set(subnetId, network.networkId);
  }

  remove(networkId: NetworkId): void {
    for (const { subnetId } of this.#byId.get(networkId)?.subnets ?? []) this.#owners.delete(subnetId);
    this.#byId.delete(networkId);
  }
}
