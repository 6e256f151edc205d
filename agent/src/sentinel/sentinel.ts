// Notices on the wire what does not fit the tables, and tells the server of it (docs/sentinel.md).
//
//   S1. It changes nothing, neither a table nor an answer.
//   S2. It takes a bounded time of every look, whatever is on the wire: what comes too fast is not looked at.
//   S3. Only of networks for which the host has authority: an old table would accuse the living.

import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { ForeignDhcpServer } from '@leasehold/proto/ipam/v1/host';
import type { Sighting } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4 } from '@leasehold/proto/values';
import type { Link } from '../backends/dhcp-backend.js';
import type { Standing } from '../domain/standing.js';
import type { NetworkTable } from '../domain/table.js';
import { ForeignServers } from './foreign-servers.js';
import type { FrameSocket, FrameSockets } from './frame-sockets.js';
import { parseFrame } from './frames.js';
import { noticedIn } from './noticed.js';
import { SightingLimit } from './sighting-limit.js';

/** A network as the sentinel watches it. */
export interface WatchedNetwork {
  readonly networkId: string;
  readonly table: NetworkTable;
  readonly link: Link | undefined;
  readonly standing: Standing;
}

/** What a sentinel needs of its surroundings. */
export interface SentinelPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly frameSockets: FrameSockets;
}

// Of one network in one look, which is twice a second. A bridge of a thousand guests has fewer ARP packets.
const MAX_FRAMES = 256;
const RETRY_MS = 5_000;

interface Ear {
  readonly link: Link;
  readonly socket: FrameSocket | undefined;
  readonly openedMs: number;
  readonly foreign: ForeignServers;
}

/** See the top of the file. */
export class Sentinel {
  readonly #ports: SentinelPorts;
  readonly #limit = new SightingLimit();
  readonly #ears = new Map<string, Ear>();
  #complaint: string | undefined;

  constructor(ports: SentinelPorts) {
    this.#ports = ports;
  }

  /** Looks at what came since the last look; what is to be told. */
  look(networks: Iterable<WatchedNetwork>): readonly Sighting[] {
    const sightings: Sighting[] = [];
    const watched = new Set<string>();
    for (const network of networks) {
      const { networkId, link, standing } = network;
      if (!link || standing === 'silent') continue;
      watched.add(networkId);
      this.#listen(network, this.#ear(networkId, link), sightings);
    }
    for (const networkId of this.#ears.keys()) if (!watched.has(networkId)) this.#close(networkId);
    return sightings;
  }

  /** The DHCP servers of others that were noticed on a network. */
  foreignServers(networkId: string): ForeignDhcpServer[] {
    const found = this.#ears.get(networkId)?.foreign.list(this.#ports.clock.now()) ?? [];
    return found.map(({ address, mac }) => ({ address: formatIpv4(address), mac: mac ?? '' }));
  }

  /** Hears nothing any more. */
  close(): void {
    for (const networkId of [...this.#ears.keys()]) this.#close(networkId);
  }

  #ear(networkId: string, link: Link): Ear {
    const nowMs = this.#ports.clock.now();
    const known = this.#ears.get(networkId);
    const isSame = known?.link.index === link.index && known.link.name === link.name;
    if (isSame && (known.socket || nowMs - known.openedMs < RETRY_MS)) return known;
    known?.socket?.close();
    const opened = this.#ports.frameSockets.open(link);
    this.#complain(opened.ok ? undefined : opened.problem);
    const socket = opened.ok ? opened.value : undefined;
    const ear = { link, socket, openedMs: nowMs, foreign: known?.foreign ?? new ForeignServers() };
    this.#ears.set(networkId, ear);
    return ear;
  }

  #complain(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.#complaint) {
      this.#ports.log.warn('Conflicts on the wire are not noticed', { problem });
    }
    if (problem !== undefined) this.#complaint = problem;
  }

  #listen(network: WatchedNetwork, { link, socket, openedMs, foreign }: Ear, sightings: Sighting[]): void {
    for (let n = 0; n < MAX_FRAMES; n++) {
      const frame = socket?.read();
      if (frame === undefined) return;
      if (frame === 'broken') {
        this.#complain(`The raw socket on ${link.name} failed`);
        socket?.close();
        this.#ears.set(network.networkId, { link, socket: undefined, openedMs, foreign });
        return;
      }
      this.#hear(network, frame, foreign, sightings);
    }
  }

  #hear({ networkId, table }: WatchedNetwork, frame: Uint8Array, foreign: ForeignServers, to: Sighting[]): void {
    const { clock, log } = this.#ports;
    const heard = parseFrame(frame);
    const noticed = heard && noticedIn(heard, table);
    if (!noticed) return;
    if (noticed.kind === 'foreign-server') {
      if (!foreign.noticed(noticed, clock.now())) return;
      const fields = { network: networkId, address: formatIpv4(noticed.address), mac: noticed.mac };
      log.warn('Another DHCP server answers on the network', fields);
      return;
    }
    const { conflict: kind, entry, sourceMac } = noticed;
    if (!this.#limit.allows(`${kind} ${entry.reservationId} ${sourceMac}`, clock.now())) return;
    const { reservationId } = entry;
    to.push({ networkId, address: formatIpv4(entry.address), reservationId, kind, sourceMac });
  }

  #close(networkId: string): void {
    this.#ears.get(networkId)?.socket?.close();
    this.#ears.delete(networkId);
  }
}
