// The kernel's reverse path filter (net.ipv4.conf.*.rp_filter, RFC 3704), which loses renewals.
//
// A guest that renews or rebinds sends from its own address. The host has no route to the tenant's subnet, so a strict
// filter (1) drops the message before any socket sees it, and does not even answer ARP for the service address; a loose
// one (2) does the same on a host without a default route. The kernel applies the larger of `all` and the interface's.

import { readFileSync, writeFileSync } from 'node:fs';

const OFF = 0;
const LOOSE = 2;

/**
 * Turns the filter off on an interface that guests are served on, as far as `all` lets it. Returns what an operator
 * should know, if anything.
 */
export function relaxReversePathFilter(name: string): string | undefined {
  // The namespace of the reader, unlike /sys.
  const own = `/proc/sys/net/ipv4/conf/${name}/rp_filter`;
  try {
    const all = read('/proc/sys/net/ipv4/conf/all/rp_filter');
    const before = read(own);
    if (Math.max(all, before) === OFF) return undefined;
    const wanted = all === OFF ? OFF : LOOSE;
    if (before !== wanted) writeFileSync(own, String(wanted));
    if (all === OFF) return undefined;
    return `Renewals are lost unless the host has a default route: net.ipv4.conf.all.rp_filter is ${all}, set it to 0`;
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return `Renewals may be lost to net.ipv4.conf.${name}.rp_filter: ${problem}`;
  }
}

function read(path: string): number {
  return Number(readFileSync(path, 'latin1'));
}
