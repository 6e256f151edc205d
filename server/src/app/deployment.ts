// Keeps the provider told: which host serves which network, and which address which MAC has.
//
//   D1. It follows the view, change by change: a host is told that it serves a network no more before any reservation
//       that was made after that (protocol.md §2.7), so that it cannot come to hold one.
//   D2. A former server goes on answering, with what it has, while fewer hosts serve than are wanted: make before
//       break. Not when its host shall serve nothing (not managed), or the network is not to be served.

import type { Log } from '@leasehold/program/log';
import { subnetEtag } from '../domain/etag.js';
import type { HostId, NetworkId } from '../domain/ids.js';
import type { FormerServer, Network } from '../domain/network.js';
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
}

/** Tells the provider, during one term of leading. */
export class Deployment {
  readonly #options: DeploymentOptions;
  readonly #networksOf = new Map<HostId, Set<NetworkId>>();
  /** What each host was told last, to tell it nothing twice. */
  readonly #told = new Map<HostId, string>();
  #subscription: Subscription | undefined;

  constructor(options: DeploymentOptions) {
    this.#options = options;
  }

  /** Tells everything the view holds, and from now on every change. */
  start(): void {
    const { view } = this.#options;
    for (const network of view.networks.values()) this.#index(network);
    this.#subscription = view.listen((change) => this.#onChange(change));
    this.refresh();
  }

  /** Tells nothing any more. */
  stop(): void {
    this.#subscription?.close();
  }

  #onChange(change: Shown): void {
    switch (change.kind) {
      case 'network': {
        const before = this.#hostsOf(change.network.networkId);
        this.#index(change.network);
        for (const hostId of new Set([...before, ...hostsIn(change.network)])) this.#tell(hostId);
        break;
      }
      case 'network-gone':
        for (const hostId of this.#hostsOf(change.networkId)) {
          this.#networksOf.get(hostId)?.delete(change.networkId);
          this.#tell(hostId);
        }
        break;
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

  #hostsOf(networkId: NetworkId): HostId[] {
    return [...this.#networksOf].flatMap(([hostId, networks]) => (networks.has(networkId) ? [hostId] : []));
  }

  #index(network: Network): void {
    for (const networks of this.#networksOf.values()) networks.delete(network.networkId);
    for (const hostId of hostsIn(network)) {
      const networks = this.#networksOf.get(hostId) ?? new Set();
      this.#networksOf.set(hostId, networks.add(network.networkId));
    }
  }

  /** Tells every host again whose duties depend on what others confirmed, or that could not be told. */
  refresh(): void {
    const { view, fleet } = this.#options;
    for (const hostId of new Set([...view.hosts.keys(), ...this.#networksOf.keys()])) {
      if (fleet.breaker(hostId).state === 'half-open') this.#told.delete(hostId);
      this.#tell(hostId);
    }
  }

  #tell(hostId: HostId): void {
    const { provider, fleet, log } = this.#options;
    const networks = this.#dutiesOf(hostId);
    const fingerprint = JSON.stringify(networks.map(fingerprintOf));
    if (this.#told.get(hostId) === fingerprint) return;
    this.#told.set(hostId, fingerprint);
    const confirmed = provider.provide(hostId, networks);
    // An open breaker does not look at how the command ends; it was given all the same, to be there when it works.
    confirmed.catch(() => undefined);
    // Of a host that is not there nothing is learned.
    if (!this.#options.observer.host(hostId)?.connected) return;
    fleet
      .breaker(hostId)
      .run(() => confirmed)
      .catch((error: unknown) => {
        log.warn('host did not confirm', {
          host: hostId,
          error: error instanceof Error ? error.message : String(error),
        });
      });
  }

  #dutiesOf(hostId: HostId): readonly ProvidedNetwork[] {
    const { view } = this.#options;
    const networkIds = [...(this.#networksOf.get(hostId) ?? [])].sort();
    return networkIds.flatMap((networkId): readonly ProvidedNetwork[] => {
      const network = view.networks.get(networkId);
      if (!network) return [];
      const { uid, subnets } = network;
      const placement = network.placements.find((each) => each.hostId === hostId);
      if (placement) return [{ networkId, uid, placementEpoch: placement.epoch, subnets, removalsOnly: false }];
      const formers = network.formerServers.filter((each) => each.hostId === hostId);
      const former = formers.find((each) => this.#mayGoOn(network, each));
      return former ? [{ networkId, uid, placementEpoch: former.epoch, subnets, removalsOnly: true }] : [];
    });
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

function fingerprintOf({ networkId, uid, placementEpoch, subnets, removalsOnly }: ProvidedNetwork): unknown {
  return [networkId, uid, placementEpoch, removalsOnly, subnets.map(subnetEtag)];
}
