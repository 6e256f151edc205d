// Networks: created, read, changed, deleted. Every change is a compare-and-set of the network's document.

import { type Author, auditEvent, networkChange } from '../domain/audit.js';
import { networkExists, networkInUse, networkNotFound, type Result, success } from '../domain/errors.js';
import { networkEtag } from '../domain/etag.js';
import type { NetworkId, Revision } from '../domain/ids.js';
import type { Labels, Network } from '../domain/network.js';
import { becomeFormer } from '../domain/placement.js';
import { changeNetwork, checkEtag } from './change.js';
import { type Call, type Context, newUid, readOrRemember, rememberNow, wallTime } from './context.js';
import { type Page, type PageRequest, pageOf } from './paging.js';

/** What a caller chooses of a network. */
export interface NetworkSettings {
  readonly displayName: string;
  readonly ipamEnabled: boolean;
  readonly dhcpServerCount: number;
  readonly labels: Labels;
}

/** The use cases. */
export class Networks {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Creates a network, or answers the one that exists with the same settings. */
  async create(networkId: NetworkId, settings: NetworkSettings, call: Call): Promise<Result<Network>> {
    return this.#change('CreateNetwork', call, networkId, (before) => {
      const existed = before && !before.deleted ? before : undefined;
      if (existed) return sameSettings(existed, settings) ? success(existed) : networkExists(networkId);
      return success(this.#newNetwork(networkId, settings, before, call));
    });
  }

  /** A tombstone's placements, former servers and counters live on under the new uid: its hosts may still answer. */
  #newNetwork(networkId: NetworkId, settings: NetworkSettings, tombstone: Network | undefined, call: Call): Network {
    const now = wallTime(this.#context);
    return {
      networkId,
      uid: newUid(this.#context),
      ...settings,
      createTime: now,
      updateTime: now,
      createdBy: call.caller,
      subnets: [],
      placements: [],
      formerServers: tombstone?.formerServers ?? [],
      placementCounter: tombstone?.placementCounter ?? 0,
      holderEpoch: tombstone?.holderEpoch ?? 0,
      revision: tombstone?.revision ?? (0 as Revision),
    };
  }

  /** Answers one network. */
  async get(networkId: NetworkId, call: Pick<Call, 'stale'>): Promise<Result<Network>> {
    const { store, view } = this.#context;
    const read = () => store.networks.get(networkId);
    const network = await readOrRemember(this.#context, call, read, () => view.network(networkId));
    return network && !network.deleted ? success(network) : networkNotFound(networkId);
  }

  /** Lists networks by id. */
  list(page: PageRequest, call: Pick<Call, 'stale'>): Result<Page<Network>> {
    const present = [...this.#context.view.networks.values()].filter((network) => !network.deleted);
    return rememberNow(
      this.#context,
      call,
      pageOf(['networks'], present, ({ networkId }) => networkId, page),
    );
  }

  /** Changes settings; those that are not in `patch` stay. */
  update(
    networkId: NetworkId,
    patch: Partial<NetworkSettings>,
    etag: string,
    author: Author,
  ): Promise<Result<Network>> {
    return this.#change('UpdateNetwork', author, networkId, (before) => {
      if (!before || before.deleted) return networkNotFound(networkId);
      const guard = checkEtag(`Network ${networkId}`, etag, networkEtag(before));
      if (guard) return guard;
      const after = { ...before, ...patch };
      if (networkEtag(after) === networkEtag(before)) return success(before);
      return success({ ...after, updateTime: wallTime(this.#context) });
    });
  }

  /** Deletes a network without subnets; what its hosts may still answer stays known. */
  async delete(networkId: NetworkId, etag: string, author: Author): Promise<Result<undefined>> {
    const result = await this.#change('DeleteNetwork', author, networkId, (before) => {
      if (!before || before.deleted) return networkNotFound(networkId);
      const guard = checkEtag(`Network ${networkId}`, etag, networkEtag(before));
      if (guard) return guard;
      const [subnet] = before.subnets;
      if (subnet) return networkInUse(networkId, subnet.subnetId);
      const { authorityCeilingS } = this.#context.store.settings;
      const epochs = before.placements.map(({ epoch }) => epoch);
      const stopped = becomeFormer(before, epochs, authorityCeilingS, wallTime(this.#context));
      return success({ ...stopped, deleted: true as const });
    });
    return result.ok ? success(undefined) : result;
  }

  async #change(
    method: string,
    author: Author,
    networkId: NetworkId,
    change: (network: Network | undefined) => Result<Network>,
  ): Promise<Result<Network>> {
    const present = (network: Network | undefined) => (network?.deleted ? undefined : network);
    const result = await changeNetwork(this.#context, networkId, change, (before, after) =>
      auditEvent(method, author, after, wallTime(this.#context), networkChange(present(before), present(after))),
    );
    if (!result.ok) return result;
    if (result.value === 'subnet-taken') throw new Error(`network ${networkId}: a change of settings added a subnet`);
    return success(result.value);
  }
}

function sameSettings(network: Network, settings: NetworkSettings): boolean {
  return networkEtag({ ...network, ...settings }) === networkEtag(network);
}
