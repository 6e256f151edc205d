// The dnsmasq backend: a packaged server for each network, told by files (docs/adr/0017).

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { NetworkTable } from '../../domain/table.js';
import type { AnswerGate, DhcpBackend, IsClaimed, Link } from '../dhcp-backend.js';
import type { ServiceAddresses } from '../host/service-addresses.js';
import { TidiedAddresses } from '../host/tidied-addresses.js';
import { type DnsmasqPorts, DnsmasqServer } from './dnsmasq-server.js';
import type { ServerFiles } from './server-files.js';

/** What the backend needs beside what its servers need. */
export interface DnsmasqBackendPorts extends DnsmasqPorts {
  readonly serviceAddresses: ServiceAddresses;
  readonly openFiles: (directory: string) => ServerFiles;
  /** Removes the files of all networks but these from the directory of all. */
  readonly removeOthers: (directory: string, keys: ReadonlySet<string>) => Promise<void>;
}

/** Makes servers that are dnsmasq processes. */
export class DnsmasqBackend implements DhcpBackend {
  readonly name = 'dnsmasq';
  readonly #directory: string;
  readonly #ports: DnsmasqPorts & Pick<DnsmasqBackendPorts, 'openFiles' | 'removeOthers'>;
  readonly #addresses: TidiedAddresses;
  readonly #keys = new Set<string>();

  /** `directory`: where the files of all networks are, absolute. */
  constructor(directory: string, ports: DnsmasqBackendPorts) {
    this.#directory = directory;
    this.#addresses = new TidiedAddresses(ports.serviceAddresses, ports.log);
    this.#ports = { ...ports, serviceAddresses: this.#addresses };
  }

  open(networkId: string, table: NetworkTable, gate: AnswerGate): DnsmasqServer {
    const key = createHash('sha256').update(networkId).digest('hex').slice(0, 32);
    this.#keys.add(key);
    const directory = join(this.#directory, key);
    const place = { key, directory, files: this.#ports.openFiles(directory) };
    return new DnsmasqServer(table, gate, place, {
      ...this.#ports,
      log: this.#ports.log.with({ network: networkId }),
    });
  }

  tidy(links: readonly Link[], isClaimed: IsClaimed): Promise<void> {
    return this.#addresses.tidy(links, isClaimed);
  }

  /** Ends what an earlier agent left of networks that are not served now: processes, then files. */
  async endOthers(): Promise<void> {
    await this.#ports.processes.keepOnly(this.#keys);
    await this.#ports.removeOthers(this.#directory, this.#keys).catch((error: unknown) => {
      this.#ports.log.warn('Files of networks that are not served stay', { error: String(error) });
    });
  }
}
