// Which networks the host has on which interfaces, as configured and as the kernel shows them.
//
// Interfaces may appear, change and vanish at any time; they are looked at twice a second, which every kernel can do.

import type { Log } from '@leasehold/program/log';
import type { ForeignDhcpServer, HostAttachment } from '@leasehold/proto/ipam/v1/host';
import type { Link } from './backends/dhcp-backend.js';
import type { Place } from './networks.js';

/** Reads an interface; `absent` says why it cannot be served on. */
export type ReadLink = (name: string) => Link | { readonly absent: string };

interface Attached {
  readonly interface: string;
  readonly place: Place;
}

/** The attachments of the host. */
export class Attachments {
  readonly #readLink: ReadLink;
  readonly #log: Log;
  #configured: ReadonlyMap<string, string> = new Map();
  #attached: ReadonlyMap<string, Attached> = new Map();

  constructor(readLink: ReadLink, log: Log) {
    this.#readLink = readLink;
    this.#log = log;
  }

  /** The interface of every network, from now on; takes effect with the next `poll`. */
  configure(networks: ReadonlyMap<string, string>): void {
    this.#configured = networks;
  }

  /** Looks at every interface; the networks for which something changed. */
  poll(): string[] {
    const before = this.#attached;
    const now = new Map<string, Attached>();
    for (const [networkId, name] of this.#configured) now.set(networkId, { interface: name, place: this.#look(name) });
    this.#attached = now;
    const changed: string[] = [];
    for (const networkId of before.keys()) if (!now.has(networkId)) changed.push(networkId);
    for (const [networkId, attached] of now) if (!isSame(before.get(networkId), attached)) changed.push(networkId);
    for (const networkId of changed) this.#report(networkId, now.get(networkId));
    return changed;
  }

  /** Where a network is served. */
  placeOf(networkId: string): Place {
    const absence = 'The host has no interface for this network';
    return this.#attached.get(networkId)?.place ?? { link: undefined, absence };
  }

  /** As reported to the server, with what else answers DHCP there. */
  list(foreignServers: (networkId: string) => ForeignDhcpServer[]): HostAttachment[] {
    return [...this.#attached].map(([networkId, { interface: name, place }]) => ({
      networkId,
      interface: name,
      ready: place.link !== undefined,
      reason: place.link ? '' : place.absence,
      foreignDhcpServers: foreignServers(networkId),
    }));
  }

  #look(name: string): Place {
    const link = this.#readLink(name);
    return 'absent' in link ? { link: undefined, absence: link.absent } : { link };
  }

  #report(networkId: string, attached: Attached | undefined): void {
    if (!attached) {
      this.#log.info('Network has no interface any more', { network: networkId });
      return;
    }
    const fields = { network: networkId, interface: attached.interface };
    if (attached.place.link) this.#log.info('Network has its interface', fields);
    else this.#log.warn('Network waits for its interface', { ...fields, reason: attached.place.absence });
  }
}

function isSame(a: Attached | undefined, b: Attached | undefined): boolean {
  if (!a || !b || a.interface !== b.interface) return false;
  if (!a.place.link || !b.place.link) return !a.place.link && !b.place.link && a.place.absence === b.place.absence;
  return a.place.link.name === b.place.link.name && a.place.link.index === b.place.link.index;
}
