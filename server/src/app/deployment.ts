// Keeps the provider told: which host serves which network, and which address which MAC has.
//
//   D1. It follows the view, change by change: a host is told that it serves a network no more before any reservation
//       that was made after that (protocol.md §2.7), so that it cannot come to hold one.
//   D2. A former server goes on answering, with what it has, while fewer hosts serve than are wanted: make before
//       break. Not when its host shall serve nothing (not managed), or the network is not to be served.
//   D3. It tells only of networks that are claimed for its term, as the view shows them: with the others hosts go on as
//       they do. What another holder claimed is that one's to tell. While the view reads everything again, a claim that
//       it did not show before is not believed: its slots come later.
//   D4. A change of one network is told of that network alone: of thousands on a host none may cost as much as all.

import type { Log } from '@leasehold/program/log';
import { subnetEtag } from '../domain/etag.js';
import type { HostId, NetworkId, Uid } from '../domain/ids.js';
import type { FormerServer, Network, Placement } from '../domain/network.js';
import { serversWanted } from '../domain/placement.js';
import type { DhcpProvider, HostObserver, ProvidedNetwork } from '../ports/dhcp-provider.js';
import type { Subscription } from '../ports/store.js';
import type { Fleet } from './fleet.js';
import type { Shown, View } from './view.js';

/** What the deployment works with. */
export interface DeploymentOptions {
  readonly view: View;
  readonly provider: DhcpProvider;
  readonly observer: HostObserver;
  readonly fleet: Fleet;
  readonly log: Log;
  /** Of the term. */
  readonly epoch: number;
}

/** Tells the provider, during one term of leading. */
export class Deployment {
  readonly #options: DeploymentOptions;
  readonly #networksOf = new Map<HostId, Set<NetworkId>>();
  readonly #hostsOf = new Map<NetworkId, readonly HostId[]>();
  /** The networks that have former servers, whose duties depend on what others confirmed. */
  readonly #leaving = new Set<NetworkId>();
  /** What each host was told last, to tell it nothing twice. */
  readonly #told = new Map<HostId, Map<NetworkId, ProvidedNetwork>>();
  /** The networks that the view showed as claimed, with all their slots. */
  readonly #claimed = new Map<NetworkId, Uid>();
  readonly #subscriptions: Subscription[] = [];
  #isStopped = false;
  #isSettled = false;

  constructor(options: DeploymentOptions) {
    this.#options = options;
  }

  /** Tells everything the view holds, and from now on every change. */
  start(): void {
    const { view } = this.#options;
    for (const network of view.networks.values()) this.#index(network);
    this.#subscriptions.push(
      view.listen((change) => this.#onChange(change)),
      view.listenToChanges({ began: () => this.#wasRead(), changed: () => undefined, lost: () => undefined }),
    );
    this.#tellAll();
  }

  #wasRead(): void {
    for (const network of this.#options.view.networks.values()) this.#noteClaim(network);
    this.#told.clear();
    this.#tellAll();
  }

  /** Every network is claimed: hosts stop what nobody knows of. */
  settle(): void {
    this.#isSettled = true;
    this.#told.clear();
    this.#tellAll();
  }

  /** Tells nothing any more. */
  stop(): void {
    this.#isStopped = true;
    for (const subscription of this.#subscriptions) subscription.close();
  }

  #onChange(change: Shown): void {
    switch (change.kind) {
      case 'network': {
        const before = this.#hostsOf.get(change.network.networkId) ?? [];
        this.#index(change.network);
        const { networkId } = change.network;
        for (const hostId of new Set([...before, ...hostsIn(change.network)])) this.#tellOf(networkId, hostId);
        break;
      }
      case 'network-gone': {
        const before = this.#hostsOf.get(change.networkId) ?? [];
        this.#unindex(change.networkId);
        this.#claimed.delete(change.networkId);
        for (const hostId of before) this.#tellOf(change.networkId, hostId);
        break;
      }
      case 'host':
        this.#tell(change.host.hostId);
        break;
      case 'host-gone': {
        // A hello that raced with the deletion saw the host as stored: its agent must say hello again.
        this.#told.delete(change.hostId);
        this.#options.fleet.forget(change.hostId);
        this.#options.observer.forget(change.hostId);
        break;
      }
      default:
        // Slots go to the provider by `tellSlot`.
        break;
    }
  }

  #noteClaim({ networkId, uid, holderEpoch }: Network): void {
    const { view, epoch } = this.#options;
    if (holderEpoch === epoch && !view.isReading) this.#claimed.set(networkId, uid);
  }

  /** Whether hosts are told of a network (D3). */
  isTold({ networkId, uid, holderEpoch }: Network): boolean {
    return holderEpoch === this.#options.epoch && this.#claimed.get(networkId) === uid;
  }

  #unindex(networkId: NetworkId): void {
    for (const hostId of this.#hostsOf.get(networkId) ?? []) {
      const networks = this.#networksOf.get(hostId);
      networks?.delete(networkId);
      if (networks?.size === 0) this.#networksOf.delete(hostId);
    }
    this.#hostsOf.delete(networkId);
    this.#leaving.delete(networkId);
  }

  #index(network: Network): void {
    const { networkId } = network;
    this.#unindex(networkId);
    this.#noteClaim(network);
    const hostIds = hostsIn(network);
    this.#hostsOf.set(networkId, hostIds);
    if (network.formerServers.length > 0) this.#leaving.add(networkId);
    for (const hostId of hostIds) {
      const networks = this.#networksOf.get(hostId) ?? new Set();
      this.#networksOf.set(hostId, networks.add(networkId));
    }
  }

  #tellAll(): void {
    for (const hostId of this.#options.view.hosts.keys()) this.#tell(hostId);
  }

  /** Tells those hosts again whose duties depend on what others confirmed, and `again`, which could not be told. */
  refresh(again: Iterable<HostId>): void {
    for (const hostId of again) {
      this.#told.delete(hostId);
      this.#tell(hostId);
    }
    const { networks } = this.#options.view;
    for (const networkId of this.#leaving) {
      for (const { hostId } of networks.get(networkId)?.formerServers ?? []) this.#tellOf(networkId, hostId);
    }
  }

  /** Tells a host of one network (D4). */
  #tellOf(networkId: NetworkId, hostId: HostId): void {
    if (this.#isStopped) return;
    const told = this.#told.get(hostId);
    if (!told) {
      this.#tell(hostId);
      return;
    }
    const network = this.#dutyOf(hostId, networkId);
    if (isSame(told.get(networkId), network)) return;
    if (network) told.set(networkId, network);
    else told.delete(networkId);
    this.#follow(hostId, this.#options.provider.provideNetwork(hostId, networkId, network));
  }

  #tell(hostId: HostId): void {
    // One that is gone may be a former server for long, and has no duties; one that is not shown yet is told once it is.
    if (this.#isStopped || !this.#options.view.hosts.has(hostId)) return;
    const networks = this.#dutiesOf(hostId);
    const told = this.#told.get(hostId);
    const isKnown = told?.size === networks.length && networks.every((each) => isSame(told.get(each.networkId), each));
    if (isKnown) return;
    this.#told.set(hostId, new Map(networks.map((network) => [network.networkId, network])));
    this.#follow(hostId, this.#options.provider.provide(hostId, networks, this.#isUndecided));
  }

  #follow(hostId: HostId, confirmed: Promise<void>): void {
    const { fleet, log } = this.#options;
    // Of a host that is not there nothing is learned.
    const isThere = this.#options.observer.host(hostId)?.connected === true;
    confirmed.catch((error: unknown) => {
      const problem = error instanceof Error ? error.message : String(error);
      if (isThere) log.warn('host did not confirm', { host: hostId, error: problem });
    });
    // An open breaker does not look at how the command ends; it was given all the same, to be there when it works.
    const breaker = isThere ? fleet.breaker(hostId) : undefined;
    breaker?.run(() => confirmed).catch(() => undefined);
  }

  readonly #isUndecided = (networkId: NetworkId): boolean => {
    const network = this.#options.view.networks.get(networkId);
    // Until then the view may not show yet what the holder before wrote last.
    return network ? !this.isTold(network) : !this.#isSettled;
  };

  #dutiesOf(hostId: HostId): readonly ProvidedNetwork[] {
    const networkIds = [...(this.#networksOf.get(hostId) ?? [])].sort();
    return networkIds.flatMap((networkId) => this.#dutyOf(hostId, networkId) ?? []);
  }

  #dutyOf(hostId: HostId, networkId: NetworkId): ProvidedNetwork | undefined {
    const { view } = this.#options;
    const network = view.networks.get(networkId);
    if (!network || !this.isTold(network)) return undefined;
    const { uid, subnets } = network;
    // What was given to a host that was forgotten is not for another that has its name by now.
    const hostUid = view.hosts.get(hostId)?.uid;
    const isIts = (each: Placement | FormerServer) => each.hostId === hostId && each.hostUid === hostUid;
    const placement = network.placements.find(isIts);
    if (placement) return { networkId, uid, placementEpoch: placement.epoch, subnets, removalsOnly: false };
    const former = network.formerServers.find((each) => isIts(each) && this.#mayGoOn(network, each));
    return former && { networkId, uid, placementEpoch: former.epoch, subnets, removalsOnly: true };
  }

  #mayGoOn(network: Network, { hostId }: FormerServer): boolean {
    const { view, fleet } = this.#options;
    return view.hosts.get(hostId)?.managed === true && fleet.serving(network).length < serversWanted(network);
  }
}

/** Hands a slot's change to the provider; for the view to call from the first slot it reads. */
export function tellSlot(provider: DhcpProvider, change: Shown): void {
  if (change.kind === 'slot' && change.slot.state === 'reserved') {
    const { networkId, reservationId, address, mac, hostname, options } = change.slot;
    provider.addReservation({ networkId }, { reservationId, address, mac, hostname, options });
  } else if (change.kind === 'slot') {
    provider.removeReservation({ networkId: change.slot.networkId }, change.slot.address);
  } else if (change.kind === 'slot-gone') {
    provider.removeReservation({ networkId: change.networkId }, change.address);
  }
}

function hostsIn({ placements, formerServers }: Network): readonly HostId[] {
  return [...placements, ...formerServers].map(({ hostId }) => hostId);
}

function isSame(a: ProvidedNetwork | undefined, b: ProvidedNetwork | undefined): boolean {
  if (!a || !b) return a === b;
  const isOf = a.uid === b.uid && a.placementEpoch === b.placementEpoch && a.removalsOnly === b.removalsOnly;
  return isOf && (a.subnets === b.subnets || etagsOf(a) === etagsOf(b));
}

function etagsOf({ subnets }: ProvidedNetwork): string {
  return subnets.map(subnetEtag).join();
}
