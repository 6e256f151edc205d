// Interfaces without packets: what a test puts on one is heard there, as by a raw socket.

import type { Mac } from '@leasehold/proto/values';

interface Link {
  readonly name: string;
}

interface Socket {
  readonly mac: Mac;
  send(frame: Uint8Array): void;
  read(): Uint8Array | 'broken' | undefined;
  close(): void;
}

/** The wires of a host. */
export class FakeWire {
  /** Why interfaces cannot be heard; undefined: they can. */
  trouble: string | undefined;
  /** What was sent, in hexadecimal digits. */
  readonly sent: string[] = [];
  /** Who answers ARP for an address; nobody else does. */
  readonly users = new Map<number, string>();
  readonly #ears = new Map<string, (Uint8Array | 'broken')[]>();

  /** The interfaces that are heard. */
  get heard(): readonly string[] {
    return [...this.#ears.keys()];
  }

  open({ name }: Link): { ok: true; value: Socket } | { ok: false; problem: string } {
    if (this.trouble !== undefined) return { ok: false, problem: this.trouble };
    const waiting: (Uint8Array | 'broken')[] = [];
    this.#ears.set(name, waiting);
    const send = (frame: Uint8Array) => {
      const bytes = Buffer.from(frame);
      this.sent.push(bytes.toString('hex'));
      const user = this.users.get(bytes.readUInt32BE(38));
      if (user !== undefined) this.pass(name, arpFrame(user, bytes.toString('hex', 38)));
    };
    const mac = '52:54:00:ff:ff:01' as Mac;
    return { ok: true, value: { mac, send, read: () => waiting.shift(), close: () => void this.#ears.delete(name) } };
  }

  /** A frame passes an interface; who does not listen does not hear it. */
  pass(name: string, frame: Uint8Array | 'broken'): void {
    this.#ears.get(name)?.push(frame);
  }
}

/** An ARP packet of somebody who says to have an address, in hexadecimal digits: `0a00000a`. */
export function arpFrame(mac: string, address: string): Uint8Array {
  const sender = mac.replaceAll(':', '');
  return Buffer.from(`ffffffffffff${sender}08060001080006040001${sender}${address}000000000000${address}`, 'hex');
}

/** A DHCP message in UDP and IPv4, from and to these ports. */
export function dhcpFrame(mac: string, from: number, to: number, message: Uint8Array): Uint8Array {
  const ip = Buffer.from('4500000000004000401100000000000000000000', 'hex');
  ip.writeUInt16BE(28 + message.length, 2);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(from, 0);
  udp.writeUInt16BE(to, 2);
  udp.writeUInt16BE(8 + message.length, 4);
  return Buffer.concat([Buffer.from(`ffffffffffff${mac.replaceAll(':', '')}0800`, 'hex'), ip, udp, message]);
}
