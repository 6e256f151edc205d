// The default backend: the agent answers DHCP by itself. Nothing is rendered, spawned or reloaded; a reservation is
// effective as soon as the table holds it.

import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { NetworkTable } from '../../domain/table.js';
import type { AnswerGate, DhcpBackend, Link } from '../dhcp-backend.js';
import { type BuiltinPorts, BuiltinServer } from './builtin-server.js';

/** Makes servers of the builtin responder. */
export class BuiltinBackend implements DhcpBackend {
  readonly name = 'builtin';
  readonly #ports: BuiltinPorts;
  #tidied: Promise<void> = Promise.resolve();

  constructor(ports: BuiltinPorts) {
    const { serviceAddresses } = ports;
    const put: typeof serviceAddresses.put = async (link, address) => {
      // What is being taken away may be what is put: not claimed a moment ago, but now.
      await this.#tidied;
      return serviceAddresses.put(link, address);
    };
    this.#ports = { ...ports, serviceAddresses: { ...serviceAddresses, put } };
  }

  open(networkId: string, table: NetworkTable, gate: AnswerGate): BuiltinServer {
    return new BuiltinServer(table, gate, { ...this.#ports, log: this.#ports.log.with({ network: networkId }) });
  }

  tidy(links: readonly Link[], isClaimed: (address: Ipv4) => boolean): Promise<void> {
    this.#tidied = this.#tidied.then(() => this.#tidy(links, isClaimed));
    return this.#tidied;
  }

  async #tidy(links: readonly Link[], isClaimed: (address: Ipv4) => boolean): Promise<void> {
    const { serviceAddresses, log } = this.#ports;
    const listed = await serviceAddresses.list();
    if (!listed.ok) {
      log.warn('Service addresses of an earlier run are not looked for', { problem: listed.problem });
      return;
    }
    const indexes = new Set(links.map(({ index }) => index));
    for (const { link, address } of listed.value) {
      // Asked for each at its time: the table that claims it may come at any moment.
      if (!indexes.has(link.index) || isClaimed(address)) continue;
      const fields = { interface: link.name, address: formatIpv4(address) };
      log.info('Service address of an earlier run is taken away', fields);
      await serviceAddresses.remove(link, address);
    }
  }
}
