// The default backend: the agent answers DHCP by itself. Nothing is rendered, spawned or reloaded; a reservation is
// effective as soon as the table holds it.

import type { NetworkTable } from '../../domain/table.js';
import type { AnswerGate, DhcpBackend, IsClaimed, Link } from '../dhcp-backend.js';
import type { ServiceAddresses } from '../host/service-addresses.js';
import { TidiedAddresses } from '../host/tidied-addresses.js';
import { type BuiltinPorts, BuiltinServer } from './builtin-server.js';

/** Makes servers of the builtin responder. */
export class BuiltinBackend implements DhcpBackend {
  readonly name = 'builtin';
  readonly #ports: BuiltinPorts;
  readonly #addresses: TidiedAddresses;

  constructor(ports: BuiltinPorts & { readonly serviceAddresses: ServiceAddresses }) {
    this.#addresses = new TidiedAddresses(ports.serviceAddresses, ports.log);
    this.#ports = { ...ports, serviceAddresses: this.#addresses };
  }

  open(networkId: string, table: NetworkTable, gate: AnswerGate): BuiltinServer {
    return new BuiltinServer(table, gate, { ...this.#ports, log: this.#ports.log.with({ network: networkId }) });
  }

  tidy(links: readonly Link[], isClaimed: IsClaimed): Promise<void> {
    return this.#addresses.tidy(links, isClaimed);
  }
}
