// Service addresses on the interfaces of this host, by iproute2.

import { execFile } from 'node:child_process';
import { formatIpv4, type Ipv4, type Parsed, parseIpv4 } from '@leasehold/proto/values';
import { hasAddress, nameOfInterface } from '../../system/interfaces.js';
import type { PutAddress, ServiceAddresses } from './service-addresses.js';

const TIMEOUT_MS = 5_000;

// Of thousands of interfaces with an address each.
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** The first half of 169.254.0.0/16 (RFC 3927). */
const LINK_LOCAL = 0xa9fe;

/** The addresses of this host. */
export const systemServiceAddresses: ServiceAddresses = {
  // Scope link: the kernel then answers from it on this interface, and never uses it as a source towards others.
  async put(link, address) {
    const done = await ip('address', 'replace', `${formatIpv4(address)}/32`, 'dev', link.name, 'scope', 'link');
    return done.ok ? { ok: true, value: undefined } : done;
  },
  async remove(link, address) {
    // By its index: it may have been renamed, or another one may have its name by now.
    const name = nameOfInterface(link.index);
    // Refused when interface or address are gone, which is just as well.
    if (name !== undefined) await ip('address', 'del', `${formatIpv4(address)}/32`, 'dev', name);
  },
  isPresent: ({ name }, address) => hasAddress(name, address),
  list,
};

async function list(): Promise<Parsed<readonly PutAddress[]>> {
  const shown = await ip('-json', '-4', 'address', 'show', 'scope', 'link', 'to', '169.254.0.0/16');
  return shown.ok ? readPutAddresses(shown.value) : shown;
}

interface Shown {
  readonly ifindex?: number;
  readonly ifname?: string;
  readonly addr_info?: readonly Readonly<Record<string, unknown>>[];
}

// Clouds serve their metadata there, by an address that may look like ours.
const METADATA = '169.254.169.254';

/** Reads what `ip -json address show` printed, of which only what `put` makes: link-local, /32, scope link, for ever. */
export function readPutAddresses(json: string): Parsed<readonly PutAddress[]> {
  let shown: readonly Shown[];
  try {
    shown = JSON.parse(json || '[]') as readonly Shown[];
  } catch {
    return { ok: false, problem: 'Program ip does not print JSON' };
  }
  const value: PutAddress[] = [];
  for (const { ifindex, ifname, addr_info: infos = [] } of shown) {
    if (ifindex === undefined || ifname === undefined) continue;
    for (const address of infos.map(readPut)) {
      if (address !== undefined) value.push({ link: { name: ifname, index: ifindex }, address });
    }
  }
  return { ok: true, value };
}

function readPut(info: Readonly<Record<string, unknown>>): Ipv4 | undefined {
  const { local, prefixlen, scope } = info;
  if (prefixlen !== 32 || scope !== 'link' || typeof local !== 'string' || local === METADATA) return undefined;
  // With the address of a peer or a broadcast address, or for a limited time: somebody else made it.
  if ('address' in info || 'broadcast' in info || 'dynamic' in info) return undefined;
  const address = parseIpv4(local);
  return address.ok && address.value >>> 16 === LINK_LOCAL ? address.value : undefined;
}

function ip(...args: readonly string[]): Promise<Parsed<string>> {
  return new Promise((resolve) => {
    execFile('ip', args, { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
      if (!error) return resolve({ ok: true, value: stdout });
      const said = stderr.trim().split('\n')[0] || error.message;
      const problem =
        error.code === 'ENOENT' ? 'Program ip of iproute2 is not installed' : `ip ${args.join(' ')}: ${said}`;
      resolve({ ok: false, problem });
    });
  });
}
