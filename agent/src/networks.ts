// The networks this host serves: which there are, what is delivered to each, and how they leave.
//
//   R1. A network that leaves is silent at once. Its removal is acknowledged after its DHCP server is closed and its
//       files are gone, and until then it stays in every report: absence from a report means absence from the disk.
//   R2. Tables of another store or incarnation answer nobody.
//   R3. No placement epoch of a network is lower than one that was seen of it, also after it left. A network that
//       was deleted and made again under its id counts anew: it has another uid. A session delivers in order, and
//       lower sessions are refused, so nothing of the old one can come after it.

import { delay } from '@leasehold/program/clock';
import type { Delivery, PlacementKey, TableState } from '@leasehold/proto/ipam/v1/session';
import type { Ipv4 } from '@leasehold/proto/values';
import type { Link } from './backends/dhcp-backend.js';
import { Replica } from './domain/replica.js';
import type { WatchedNetwork } from './sentinel/sentinel.js';
import { type NetworkContext, type NetworkPorts, ServedNetwork } from './served-network.js';
import { type Acknowledged, NO_AUTHORITY } from './session/authority.js';
import type { AgentRecord, StoredAuthority } from './state/agent-record.js';
import type { RestoredTable } from './state/table-image.js';

const REMOVE_RETRY_MS = 5_000;

/** A network's interface, or why there is none. */
export type Place = { readonly link: Link } | { readonly link: undefined; readonly absence: string };

/** A network that left and whose files may not be gone yet. */
interface Leaving {
  readonly networkUid: string;
  /** The unassignment to acknowledge, and its session. Without: its store is not served any more. */
  unassigned: { readonly session: number; readonly sequence: bigint; readonly placementEpoch: bigint } | undefined;
  readonly done: Promise<void>;
}

/** The networks assigned to this host. */
export class Networks {
  readonly #ports: NetworkPorts;
  readonly #context: NetworkContext;
  readonly #placeOf: (networkId: string) => Place;
  readonly #served = new Map<string, ServedNetwork>();
  readonly #leaving = new Map<string, Leaving>();
  /** The highest placement epoch seen of networks that left. */
  readonly #left = new Map<string, { readonly networkUid: string; readonly placementEpoch: bigint }>();
  #session = 0;

  constructor(ports: NetworkPorts, context: NetworkContext, placeOf: (networkId: string) => Place) {
    this.#ports = ports;
    this.#context = context;
    this.#placeOf = placeOf;
  }

  /** Serves what was on the disk, as far as authority from this boot goes on. */
  restore(tables: readonly RestoredTable[], agent: AgentRecord | undefined, bootId: string): void {
    for (const { header, table, placementEpoch, journal } of tables) {
      const replica = new Replica(header.networkId, table.networkUid ?? '', placementEpoch, table);
      const stored = agent?.bootId === bootId ? agent.authority.get(header.networkId) : undefined;
      const isTorn = journal === 'torn';
      const holds = stored?.placementEpoch === placementEpoch && !isTorn;
      const authority = holds ? { ...NO_AUTHORITY, untilMs: stored.untilMs } : NO_AUTHORITY;
      this.#add(new ServedNetwork(replica, this.#ports, this.#context, { authority, needsImage: isTorn }));
    }
  }

  /** A session begins. */
  beginSession(): void {
    this.#session += 1;
    for (const network of this.#served.values()) network.beginSession();
  }

  /** Every table there is, also of networks whose removal is not done. */
  tableStates(): TableState[] {
    const states = [...this.#served.values()].map((network) => network.tableState());
    for (const [networkId, leaving] of this.#leaving) {
      const { networkUid, unassigned } = leaving;
      if (!unassigned || this.#served.has(networkId)) continue;
      states.push(absentTable({ networkId, networkUid, placementEpoch: unassigned.placementEpoch, sequence: 0n }));
    }
    return states;
  }

  /** Takes a delivery of the present session. */
  deliver(delivery: Delivery): void {
    const { networkId, placementEpoch, action } = delivery;
    const network = this.#served.get(networkId);
    const known = this.#knownEpoch(delivery, network);
    if (placementEpoch < known) {
      const fields = { network: networkId, placementEpoch: String(placementEpoch), known: String(known) };
      this.#ports.log.warn('Delivery of a placement that is over refused', fields);
    } else if (action?.$case === 'unassignment') {
      this.#unassign(delivery, network);
    } else if (action?.$case === 'assignment' && network?.replica.networkUid !== action.value.networkUid) {
      // The network was deleted and made again: another network with the same id.
      if (network) this.#leave(network, undefined);
      const replica = new Replica(networkId, action.value.networkUid, placementEpoch);
      const added = new ServedNetwork(replica, this.#ports, this.#context);
      added.beginSession();
      this.#add(added);
      added.deliver(delivery);
    } else if (network) {
      network.deliver(delivery);
    } else {
      this.#ports.log.warn('Delivery for a network that is not assigned refused', {
        network: networkId,
        kind: action?.$case,
      });
    }
  }

  /** A heartbeat was acknowledged for these placements. */
  acknowledged(ack: Acknowledged, placements: readonly PlacementKey[]): void {
    for (const { networkId, placementEpoch } of placements) {
      const network = this.#served.get(networkId);
      if (network?.replica.placementEpoch === placementEpoch) network.acknowledge(ack);
    }
  }

  /** Answers nobody from any table of the store that was followed so far, and forgets them. */
  dropAll(): void {
    for (const network of [...this.#served.values()]) this.#leave(network, undefined);
    this.#left.clear();
  }

  /** An interface came, changed or went. */
  attach(networkId: string): void {
    const place = this.#placeOf(networkId);
    this.#served.get(networkId)?.attach(place.link, place.link ? '' : place.absence);
  }

  /** Whether a network that is served on this interface has this service address. */
  isServiceAddressOn({ index }: Link, address: Ipv4): boolean {
    for (const { networkId, replica } of this.#served.values()) {
      if (replica.table.serviceAddress === address && this.#placeOf(networkId).link?.index === index) return true;
    }
    return false;
  }

  /** What is to be watched on the wire. */
  *watched(): Iterable<WatchedNetwork> {
    for (const network of this.#served.values()) {
      const { networkId, replica } = network;
      const { link } = this.#placeOf(networkId);
      yield { networkId, table: replica.table, link, standing: network.standing() };
    }
  }

  /** Logs what began and ceased to be answered. */
  observe(): void {
    for (const network of this.#served.values()) network.observe();
  }

  /** Authority to be stored, by network. */
  authorities(): Map<string, StoredAuthority> {
    const result = new Map<string, StoredAuthority>();
    for (const { networkId, replica, storableAuthority: authority } of this.#served.values()) {
      if (authority.untilMs === NO_AUTHORITY.untilMs) continue;
      result.set(networkId, { placementEpoch: replica.placementEpoch, untilMs: authority.untilMs });
    }
    return result;
  }

  /** Closes every DHCP server for a restart; tables and authority stay. */
  async suspend(): Promise<void> {
    const closing = [...this.#served.values()].map((network) => network.suspend());
    await Promise.all(closing);
  }

  /** The placement epoch below which a delivery is of a placement that is over. */
  #knownEpoch({ networkId, action }: Delivery, network: ServedNetwork | undefined): bigint {
    const known = network?.replica ?? this.#left.get(networkId);
    if (!known) return 0n;
    if (action?.$case === 'assignment' && action.value.networkUid !== known.networkUid) return 0n;
    // What is not served is not served, of whichever network of this id.
    if (action?.$case === 'unassignment' && !network) return 0n;
    return known.placementEpoch;
  }

  #add(network: ServedNetwork): void {
    this.#served.set(network.networkId, network);
    this.attach(network.networkId);
    void network.open(this.#leaving.get(network.networkId)?.done);
  }

  #unassign({ networkId, placementEpoch, sequence }: Delivery, network: ServedNetwork | undefined): void {
    const unassigned = { session: this.#session, sequence, placementEpoch };
    const leaving = this.#leaving.get(networkId);
    if (network) {
      this.#left.set(networkId, { networkUid: network.replica.networkUid, placementEpoch });
      this.#leave(network, unassigned);
    } else if (leaving) {
      leaving.unassigned = unassigned;
    } else {
      this.#context.sendAck(absentTable({ networkId, networkUid: '', placementEpoch, sequence }));
    }
  }

  #leave(network: ServedNetwork, unassigned: Leaving['unassigned']): void {
    const { networkId, replica } = network;
    this.#served.delete(networkId);
    this.#ports.log.info('Network is not served any more', { network: networkId });
    const before = this.#leaving.get(networkId)?.done;
    const done = Promise.all([before, network.close()]).then(() => this.#remove(networkId, leaving));
    const leaving: Leaving = { networkUid: replica.networkUid, unassigned, done };
    this.#leaving.set(networkId, leaving);
  }

  async #remove(networkId: string, leaving: Leaving): Promise<void> {
    while (!(await this.#tryRemove(networkId))) {
      await delay(this.#ports.clock, REMOVE_RETRY_MS);
      // Assigned again meanwhile: its new table will take the place of the old one, and its acknowledgement covers this.
      if (!this.#served.has(networkId)) continue;
      leaving.unassigned = undefined;
      break;
    }
    if (this.#leaving.get(networkId) === leaving) this.#leaving.delete(networkId);
    const { networkUid, unassigned } = leaving;
    if (unassigned?.session !== this.#session) return;
    this.#context.sendAck(absentTable({ networkId, networkUid, ...unassigned }));
  }

  async #tryRemove(networkId: string): Promise<boolean> {
    try {
      await this.#ports.state.removeTable(networkId);
      return true;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#ports.log.error('Table could not be removed from the state directory', { network: networkId, problem });
      return false;
    }
  }
}

function absentTable(table: Pick<TableState, 'networkId' | 'networkUid' | 'placementEpoch' | 'sequence'>): TableState {
  const { networkId, networkUid, placementEpoch, sequence } = table;
  const nothing = { digest: Buffer.alloc(0), entries: 0n, serving: false, reason: 'Not assigned' };
  return { networkId, networkUid, placementEpoch, sequence, ...nothing };
}
