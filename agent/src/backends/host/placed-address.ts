// The service address of one network on this host: on one interface at a time.

import type { Log } from '@leasehold/program/log';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { Link } from '../dhcp-backend.js';
import type { ServiceAddresses } from './service-addresses.js';

/** How often the service address is looked after: other programs flush addresses. */
export const CHECK_MS = 5_000;

/** Why nothing can be placed without an interface. */
export const NO_INTERFACE = 'There is no interface to serve on';

/** An address and the interface it is to be on. */
export interface Place {
  readonly link: Link;
  readonly address: Ipv4;
}

/** Whether nothing needs to move. */
export function isSamePlace(placed: Place | undefined, wanted: Place | string): boolean {
  if (!placed || typeof wanted === 'string') return false;
  const { link, address } = placed;
  return link.index === wanted.link.index && link.name === wanted.link.name && address === wanted.address;
}

/** See the top of the file. */
export class PlacedAddress {
  readonly #addresses: Omit<ServiceAddresses, 'list'>;
  readonly #log: Log;
  #place: Place | undefined;

  constructor(addresses: Omit<ServiceAddresses, 'list'>, log: Log) {
    this.#addresses = addresses;
    this.#log = log;
  }

  /** Where it is, or may be, since it was put last. */
  get place(): Place | undefined {
    return this.#place;
  }

  /**
   * Puts it there unless it is. `onGone` is called when it went by other hands: perhaps the interface went and came
   * again, and who listens still listens on the one that went. Returns what is wrong, if anything.
   */
  async put(place: Place, onGone: () => Promise<void> | void, isServing: boolean): Promise<string | undefined> {
    const isThere = this.#addresses.isPresent(place.link, place.address);
    if (this.#place && isThere) return undefined;
    if (isServing && !isThere) {
      const fields = { interface: place.link.name, address: formatIpv4(place.address) };
      this.#log.warn('Service address has gone, putting it back', fields);
      await onGone();
    }
    // Before it is there: a put that failed half way is taken away too.
    this.#place = place;
    const put = await this.#addresses.put(place.link, place.address);
    return put.ok ? undefined : put.problem;
  }

  /** Takes it away. */
  async leave(): Promise<void> {
    const place = this.#place;
    this.#place = undefined;
    if (place) await this.#addresses.remove(place.link, place.address);
  }
}
