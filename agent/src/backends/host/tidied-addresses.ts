// Service addresses of this process, and those that an earlier one left behind.

import type { Log } from '@leasehold/program/log';
import { formatIpv4, type Ipv4, type Parsed } from '@leasehold/proto/values';
import type { IsClaimed, Link } from '../dhcp-backend.js';
import type { ServiceAddresses } from './service-addresses.js';

/** Puts no address while one is being taken away: not claimed a moment ago, it may be the very one. */
export class TidiedAddresses implements Omit<ServiceAddresses, 'list'> {
  readonly #addresses: ServiceAddresses;
  readonly #log: Log;
  #tidied: Promise<void> = Promise.resolve();

  constructor(addresses: ServiceAddresses, log: Log) {
    this.#addresses = addresses;
    this.#log = log;
  }

  async put(link: Link, address: Ipv4): Promise<Parsed<void>> {
    await this.#tidied;
    return this.#addresses.put(link, address);
  }

  remove(link: Link, address: Ipv4): Promise<void> {
    return this.#addresses.remove(link, address);
  }

  isPresent(link: Link, address: Ipv4): boolean {
    return this.#addresses.isPresent(link, address);
  }

  /** Takes from interfaces what an earlier process left there, as `DhcpBackend.tidy`. */
  tidy(links: readonly Link[], isClaimed: IsClaimed): Promise<void> {
    this.#tidied = this.#tidied.then(() => this.#tidy(links, isClaimed));
    return this.#tidied;
  }

  async #tidy(links: readonly Link[], isClaimed: IsClaimed): Promise<void> {
    const listed = await this.#addresses.list();
    if (!listed.ok) {
      this.#log.warn('Service addresses of an earlier run are not looked for', { problem: listed.problem });
      return;
    }
    const indexes = new Set(links.map(({ index }) => index));
    for (const { link, address } of listed.value) {
      // Asked for each at its time: the table that claims it may come at any moment.
      if (!indexes.has(link.index) || isClaimed(link, address)) continue;
      const fields = { interface: link.name, address: formatIpv4(address) };
      this.#log.info('Service address of an earlier run is taken away', fields);
      await this.#addresses.remove(link, address);
    }
  }
}
