// Service addresses on the interfaces of this host, by iproute2.

import { execFile } from 'node:child_process';
import { formatIpv4, type Ipv4, type Parsed } from '@leasehold/proto/values';
import { C, libc, sockaddrIn } from '../../system/libc.js';
import type { ServiceAddresses } from './host-network.js';

const TIMEOUT_MS = 5_000;

/** The addresses of this host. */
export const systemServiceAddresses: ServiceAddresses = {
  // Scope link: the kernel then answers from it on this interface, and never uses it as a source towards others.
  put: (link, address) => ip('address', 'replace', `${formatIpv4(address)}/32`, 'dev', link.name, 'scope', 'link'),
  async remove(link, address) {
    // Refused when interface or address are gone, which is just as well.
    await ip('address', 'del', `${formatIpv4(address)}/32`, 'dev', link.name);
  },
  isPresent,
};

// Only an address of this host can be bound to.
function isPresent(address: Ipv4): boolean {
  const fd = libc.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const present = libc.bind(fd, sockaddrIn(address, 0), 16) === 0;
  libc.close(fd);
  return present;
}

function ip(...args: readonly string[]): Promise<Parsed<void>> {
  return new Promise((resolve) => {
    execFile('ip', args, { timeout: TIMEOUT_MS }, (error, _stdout, stderr) => {
      if (!error) return resolve({ ok: true, value: undefined });
      const said = stderr.trim().split('\n')[0] || error.message;
      const problem =
        error.code === 'ENOENT' ? 'Program ip of iproute2 is not installed' : `ip ${args.join(' ')}: ${said}`;
      resolve({ ok: false, problem });
    });
  });
}
