// The kernel of a simulated host, as far as DHCP goes: interfaces, addresses and sockets, on segments. It is what the
// product's agent and builtin backend get in place of the real one.
//
//   K1. The kernel goes on while processes are frozen: it answers ARP, and sockets fill up to a bound.
//   K2. When the process ends its sockets are gone. Addresses stay on the interface.
//   K3. An interface that was made again has another index and no address, and old sockets on it are deaf. Guests of the
//       host are on it, too.

import type { DhcpSockets, SocketEvents } from '@leasehold/agent/backends/builtin/dhcp-sockets';
import type { Link } from '@leasehold/agent/backends/dhcp-backend';
import type { PutAddress, ServiceAddresses } from '@leasehold/agent/backends/host/service-addresses';
import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import type { FrameSocket, FrameSockets } from '@leasehold/agent/sentinel/frame-sockets';
import { formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import {
  arpOfBytes,
  BROADCAST_ADDRESS,
  type DhcpFrame,
  dhcpFrame,
  type Frame,
  frameBytes,
  UNSET_ADDRESS,
} from './frames.js';
import type { VirtualProcess } from './node.js';
import type { Segment, Station } from './segment.js';

/** A DHCP socket holds this many messages that nobody reads; what comes then is lost. */
const MAX_WAITING_MESSAGES = 512;
/** As the ring of a raw socket. */
const MAX_WAITING_FRAMES = 256;
const LINK_LOCAL = 0xa9fe0000;
const NOBODY = '00:00:00:00:00:00' as Mac;

const HEARD_OF_CLIENTS: ReadonlySet<number> = new Set([
  MESSAGE_TYPE.request,
  MESSAGE_TYPE.decline,
  MESSAGE_TYPE.release,
]);

/** Told of a DHCP question when a process that runs has read it. */
export type SocketWitness = (networkId: string, frame: DhcpFrame) => void;

interface DhcpEar {
  readonly process: VirtualProcess;
  readonly index: number;
  readonly events: SocketEvents;
  readonly waiting: DhcpFrame[];
}

interface RawEar {
  readonly index: number;
  readonly waiting: Uint8Array[];
}

/** One bridge of the host. */
class Bridge implements Station {
  readonly place: string;
  readonly mac: Mac;
  readonly segment: Segment;
  readonly addresses = new Set<Ipv4>();
  dhcp: DhcpEar | undefined;
  raw: RawEar | undefined;
  readonly name: string;
  /** 0: it is not there. */
  index = 0;
  witness: SocketWitness | undefined;

  constructor(place: string, mac: Mac, segment: Segment, name: string) {
    this.place = place;
    this.mac = mac;
    this.segment = segment;
    this.name = name;
  }

  wants(frame: Frame): boolean {
    if (frame.kind === 'arp') return this.raw !== undefined || this.addresses.has(frame.targetAddress);
    return this.#isForRaw(frame) || (frame.port === 67 && this.dhcp !== undefined);
  }

  owns(address: Ipv4): boolean {
    return this.addresses.has(address);
  }

  receive(frame: Frame): void {
    if (this.raw?.index === this.index && this.raw.waiting.length < MAX_WAITING_FRAMES) {
      if (frame.kind === 'arp' || this.#isForRaw(frame)) this.raw.waiting.push(frameBytes(frame));
    }
    if (frame.kind === 'arp') this.#answerArp(frame);
    else if (frame.port === 67) this.#hear(frame);
  }

  // The filter of the raw socket: what servers say, and what clients say to them.
  #isForRaw({ port, message }: DhcpFrame): boolean {
    if (!this.raw) return false;
    const type = message?.options.get(OPTION.messageType)?.[0];
    return port === 68 || (type !== undefined && HEARD_OF_CLIENTS.has(type));
  }

  #answerArp({ operation, targetAddress, sourceMac, senderAddress }: Frame & { readonly kind: 'arp' }): void {
    if (operation !== 'request' || !this.addresses.has(targetAddress)) return;
    const reply = { operation: 'reply', senderAddress: targetAddress, targetAddress: senderAddress } as const;
    this.segment.send({ kind: 'arp', sourceMac: this.mac, destinationMac: sourceMac, ...reply }, this);
  }

  #hear(frame: DhcpFrame): void {
    const ear = this.dhcp;
    const { destinationAddress } = frame;
    const isForHere = destinationAddress === BROADCAST_ADDRESS || this.addresses.has(destinationAddress);
    if (ear?.index !== this.index || !isForHere || ear.waiting.length >= MAX_WAITING_MESSAGES) return;
    ear.waiting.push(frame);
    ear.process.arrive(() => {
      const read = ear.waiting.shift();
      if (!read || this.dhcp !== ear) return;
      ear.events.onMessage(read.payload);
      this.witness?.(this.segment.networkId, read);
    });
  }
}

/** See the top of the file. */
export class HostNetwork {
  readonly #hostId: string;
  readonly #bridges = new Map<string, Bridge>();
  #isOn = true;

  /** A host with a bridge `br-ID` for each network; `number`: makes its MACs. */
  constructor(hostId: string, number: number, segments: ReadonlyMap<string, Segment>, witness?: SocketWitness) {
    this.#hostId = hostId;
    let n = 0;
    for (const [networkId, segment] of segments) {
      const mac = `52:54:01:00:${hex(number)}:${hex(++n)}` as Mac;
      const bridge = new Bridge(hostId, mac, segment, bridgeOf(networkId));
      bridge.witness = witness;
      this.#bridges.set(networkId, bridge);
      segment.plug(bridge);
    }
  }

  /** What the builtin backend of a process hears and says. */
  dhcpSockets(process: VirtualProcess): DhcpSockets {
    return {
      open: async (link, events) => {
        const bridge = this.#at(link);
        if (!bridge || !process.isAlive) return { ok: false, problem: `There is no interface ${link.name}` };
        if (bridge.dhcp?.index === bridge.index) return { ok: false, problem: `UDP port 67 on ${link.name} is taken` };
        const ear: DhcpEar = { process, index: link.index, events, waiting: [] };
        bridge.dhcp = ear;
        const send = (bytes: Uint8Array, address: Ipv4, onFailure: () => void) => {
          // Of an interface that went and came again it is not: to that it cannot say anything.
          if (bridge.dhcp === ear && ear.index === bridge.index && process.isAlive) this.#say(bridge, bytes, address);
          else onFailure();
        };
        const close = () => {
          if (bridge.dhcp === ear) bridge.dhcp = undefined;
        };
        return { ok: true, value: { warning: undefined, send, close } };
      },
    };
  }

  /** What the sentinel of a process hears. */
  frameSockets(process: VirtualProcess): FrameSockets {
    return {
      open: (link) => {
        const bridge = this.#at(link);
        if (!bridge) return { ok: false, problem: `There is no interface ${link.name}` };
        const ear: RawEar = { index: link.index, waiting: [] };
        bridge.raw = ear;
        const socket: FrameSocket = {
          mac: bridge.mac,
          send: (bytes) => {
            const frame = arpOfBytes(bytes, bridge.mac);
            if (frame && bridge.raw === ear && ear.index === bridge.index && process.isAlive)
              bridge.segment.send(frame, bridge);
          },
          read: () => ear.waiting.shift(),
          close: () => {
            if (bridge.raw === ear) bridge.raw = undefined;
          },
        };
        return { ok: true, value: socket };
      },
    };
  }

  /** The addresses that a process puts and takes away. */
  serviceAddresses(process: VirtualProcess): ServiceAddresses {
    return {
      put: async (link, address) => {
        const bridge = this.#at(link);
        if (!bridge || !process.isAlive) return { ok: false, problem: `Cannot find device "${link.name}"` };
        bridge.addresses.add(address);
        return { ok: true, value: undefined };
      },
      remove: async (link, address) => {
        if (process.isAlive) this.#at(link)?.addresses.delete(address);
      },
      isPresent: (link, address) => this.#at(link)?.addresses.has(address) ?? false,
      list: async () => ({ ok: true, value: this.#putAddresses() }),
    };
  }

  /** The sockets of a process that ended. */
  closeSockets(): void {
    for (const bridge of this.#bridges.values()) {
      bridge.dhcp = undefined;
      bridge.raw = undefined;
    }
  }

  /** Without power no address stays, and nothing passes its bridges. */
  setPower(isOn: boolean): void {
    this.#isOn = isOn;
    for (const bridge of this.#bridges.values()) {
      if (!isOn) bridge.addresses.clear();
      bridge.segment.setBridge(this.#hostId, isOn && bridge.index !== 0);
    }
  }

  /** Interfaces by name that are there, with their indices. One with a new index has no address, and is heard by nobody. */
  setLinks(links: ReadonlyMap<string, number>): void {
    for (const bridge of this.#bridges.values()) {
      const index = links.get(bridge.name) ?? 0;
      if (index !== bridge.index) bridge.addresses.clear();
      bridge.index = index;
      bridge.segment.setBridge(this.#hostId, this.#isOn && index !== 0);
    }
  }

  /** Whether a process hears DHCP there. */
  listens(networkId: string): boolean {
    const bridge = this.#of(networkId);
    return bridge.index !== 0 && bridge.dhcp?.index === bridge.index;
  }

  /** The service addresses that its kernel answers ARP for, as text. */
  addressesOf(networkId: string): readonly string[] {
    return [...this.#of(networkId).addresses].map(formatIpv4).sort();
  }

  #say(bridge: Bridge, payload: Uint8Array, destinationAddress: Ipv4): void {
    const [sourceAddress = UNSET_ADDRESS] = [...bridge.addresses].filter((address) => address >= LINK_LOCAL);
    const isBroadcast = destinationAddress === BROADCAST_ADDRESS;
    // Where nobody answers ARP it goes nowhere, but it was said: the rules of the wire hold for it too.
    const destinationMac = isBroadcast ? undefined : (bridge.segment.resolve(destinationAddress, bridge) ?? NOBODY);
    const parts = { sourceMac: bridge.mac, destinationMac, sourceAddress, destinationAddress, payload };
    bridge.segment.send(dhcpFrame({ ...parts, port: 68 }), bridge);
  }

  #putAddresses(): readonly PutAddress[] {
    return [...this.#bridges.values()].flatMap((bridge) =>
      [...bridge.addresses].map((address) => ({ link: { name: bridge.name, index: bridge.index }, address })),
    );
  }

  #at({ name, index }: Link): Bridge | undefined {
    const bridge = this.#named(name);
    return index !== 0 && bridge?.index === index ? bridge : undefined;
  }

  #named(name: string): Bridge | undefined {
    for (const bridge of this.#bridges.values()) if (bridge.name === name) return bridge;
    return undefined;
  }

  #of(networkId: string): Bridge {
    const bridge = this.#bridges.get(networkId);
    if (!bridge) throw new Error(`${this.#hostId} has no network ${networkId}`);
    return bridge;
  }
}

function bridgeOf(networkId: string): string {
  return `br-${networkId}`;
}

function hex(n: number): string {
  return (n & 255).toString(16).padStart(2, '0');
}
