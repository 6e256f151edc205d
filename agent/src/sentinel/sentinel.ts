// Notices on the wire what does not fit the tables, and tells the server of it (docs/sentinel.md).
//
//   S1. It changes nothing, neither a table nor an answer.
//   S2. It takes a bounded time of every look, whatever is on the wire: what comes too fast is not looked at.
//   S3. Only of networks for which the host has authority: an old table would accuse the living.

import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { ForeignDhcpServer } from '@leasehold/proto/ipam/v1/host';
import type { Sighting } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Mac, parseIpv4 } from '@leasehold/proto/values';
import type { Link } from '../backends/dhcp-backend.js';
import type { Standing } from '../domain/standing.js';
import type { NetworkTable } from '../domain/table.js';
import { ArpProbe } from './arp-probe.js';
import { ForeignServers } from './foreign-servers.js';
import type { FrameSocket, FrameSockets } from './frame-sockets.js';
import { type Heard, parseFrame } from './frames.js';
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

// While an answer is waited for.
const PROBE_LOOK_MS = 25;
// A server has at most 200 under way at all hosts together.
const MAX_PROBES = 256;

interface Ear {
  readonly link: Link;
  readonly socket: FrameSocket | undefined;
  readonly openedMs: number;
  readonly foreign: ForeignServers;
  readonly limit: SightingLimit;
  /** Why it is not heard, as it was said. */
  complaint: string | undefined;
  /** As it was looked at last. */
  network: WatchedNetwork;
}

/** What a probe came to: who uses the address, if anybody; or why nobody could be asked. */
export type Probed = { readonly usedBy: Mac | undefined } | { readonly problem: string };

/** See the top of the file. */
export class Sentinel {
  readonly #ports: SentinelPorts;
  readonly #ears = new Map<string, Ear>();
  readonly #probes = new Map<ArpProbe, string>();
  /** Noticed between two looks, while an answer was waited for. */
  #early: Sighting[] = [];
  #isHeard = false;

  constructor(ports: SentinelPorts) {
    this.#ports = ports;
  }

  /** Looks at what came since the last look; what is to be told. `isHeard`: whether there is anybody to tell. */
  look(networks: Iterable<WatchedNetwork>, isHeard = true): readonly Sighting[] {
    this.#isHeard = isHeard;
    const sightings = this.#early;
    this.#early = [];
    const watched = new Set<string>();
    for (const network of networks) {
      const { networkId, link, standing } = network;
      if (!link || standing === 'silent') continue;
      watched.add(networkId);
      this.#listen(this.#ear(network, link), sightings);
    }
    for (const networkId of this.#ears.keys()) if (!watched.has(networkId)) this.#close(networkId);
    return sightings;
  }

  /** Asks who uses an address of a network; answers within half a second. */
  async probe(networkId: string, text: string): Promise<Probed> {
    const { clock } = this.#ports;
    const socket = this.#ears.get(networkId)?.socket;
    const address = parseIpv4(text);
    if (!address.ok) return { problem: address.problem };
    if (!socket) return { problem: 'The interface is not heard' };
    if (this.#probes.size >= MAX_PROBES) return { problem: `${MAX_PROBES} probes are under way` };
    const usedBy = await new Promise<Mac | undefined>((resolve) => {
      const probe: ArpProbe = new ArpProbe({
        ...{ clock, address: address.value, sourceMac: socket.mac },
        send: (frame) => this.#ears.get(networkId)?.socket?.send(frame),
        done: (found) => {
          this.#probes.delete(probe);
          resolve(found);
        },
      });
      if (this.#probes.size === 0) this.#lookForAnswers();
      this.#probes.set(probe, networkId);
    });
    // Without the interface nobody was asked.
    const isHeard = usedBy !== undefined || this.#ears.get(networkId)?.socket === socket;
    return isHeard ? { usedBy } : { problem: 'The interface went' };
  }

  #lookForAnswers(): void {
    this.#ports.clock.after(PROBE_LOOK_MS, () => {
      for (const networkId of new Set(this.#probes.values())) {
        const ear = this.#ears.get(networkId);
        if (ear) this.#listen(ear, this.#early);
      }
      if (this.#probes.size > 0) this.#lookForAnswers();
    });
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

  #ear(network: WatchedNetwork, link: Link): Ear {
    const { networkId } = network;
    const nowMs = this.#ports.clock.now();
    const known = this.#ears.get(networkId);
    const isSame = known?.link.index === link.index && known.link.name === link.name;
    if (isSame && (known.socket || nowMs - known.openedMs < RETRY_MS)) {
      known.network = network;
      return known;
    }
    known?.socket?.close();
    const opened = this.#ports.frameSockets.open(link);
    const ear: Ear = {
      ...{ link, openedMs: nowMs, network },
      socket: opened.ok ? opened.value : undefined,
      foreign: known?.foreign ?? new ForeignServers(),
      limit: known?.limit ?? new SightingLimit(),
      complaint: opened.ok ? undefined : known?.complaint,
    };
    if (!opened.ok) this.#complain(ear, opened.problem);
    this.#ears.set(networkId, ear);
    return ear;
  }

  #complain(ear: Ear, problem: string): void {
    if (problem === ear.complaint) return;
    ear.complaint = problem;
    this.#ports.log.warn('Conflicts on the wire are not noticed', { network: ear.network.networkId, problem });
  }

  #listen(ear: Ear, sightings: Sighting[]): void {
    const { link, socket, network } = ear;
    for (let n = 0; n < MAX_FRAMES; n++) {
      const frame = socket?.read();
      if (frame === undefined) return;
      if (frame === 'broken') {
        const deaf: Ear = { ...ear, socket: undefined };
        this.#complain(deaf, `The raw socket on ${link.name} failed`);
        socket?.close();
        this.#ears.set(network.networkId, deaf);
        return;
      }
      this.#hear(ear, frame, sightings);
    }
  }

  #hear({ network, foreign, limit }: Ear, frame: Uint8Array, to: Sighting[]): void {
    const { networkId, table } = network;
    const { clock, log } = this.#ports;
    const heard = parseFrame(frame);
    if (heard?.kind === 'arp') this.#answer(networkId, heard);
    const noticed = heard && noticedIn(heard, table);
    if (!noticed) return;
    if (noticed.kind === 'foreign-server') {
      if (!foreign.noticed(noticed, clock.now())) return;
      const fields = { network: networkId, address: formatIpv4(noticed.address), mac: noticed.mac };
      log.warn('Another DHCP server answers on the network', fields);
      return;
    }
    const { conflict: kind, entry, sourceMac } = noticed;
    const { reservationId } = entry;
    if (!this.#isHeard || !limit.allows(`${kind} ${reservationId}`, clock.now())) return;
    to.push({ networkId, address: formatIpv4(entry.address), reservationId, kind, sourceMac });
  }

  #answer(networkId: string, { address, sourceMac }: Heard & { readonly kind: 'arp' }): void {
    for (const [probe, of] of this.#probes) {
      if (of === networkId && probe.address === address) probe.answered(sourceMac);
    }
  }

  #close(networkId: string): void {
    this.#ears.get(networkId)?.socket?.close();
    this.#ears.delete(networkId);
  }
}
