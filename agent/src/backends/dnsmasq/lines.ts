// What dnsmasq says on its standard error, as far as anything depends on it. Pure; worded as dnsmasq 2.90 does.

import { parseIpv4, parseMac } from '@leasehold/proto/values';
import type { Ghost } from './ghosts.js';

/** Something dnsmasq said. */
export type Said =
  /** It read a file, or begins to; either way it handles no packet before it is done. */
  | { readonly kind: 'read'; readonly path: string }
  /** A MAC asked for its address, which is leased to another one. */
  | { readonly kind: 'ghost'; readonly ghost: Ghost }
  /** It does not take a line of its files. */
  | { readonly kind: 'complaint'; readonly text: string }
  | { readonly kind: 'other'; readonly text: string };

/** Reads a line. */
export function readLine(line: string): Said {
  const text = line.replace(/^dnsmasq(?:-dhcp)?(?:\[[0-9]+\])?: /, '');
  const read = /^read (\/.*)$/.exec(text);
  if (read?.[1] !== undefined) return { kind: 'read', path: read[1] };
  const leased = /^not using configured address ([0-9.]+) because it is leased to ([0-9a-f:]{17})$/.exec(text);
  if (leased) {
    const [address, mac] = [parseIpv4(leased[1] ?? ''), parseMac(leased[2] ?? '')];
    if (address.ok && mac.ok) return { kind: 'ghost', ghost: { address: address.value, mac: mac.value } };
  }
  // It also tries to read additions that were removed, and says that it cannot.
  if (/ at line [0-9]+ of /.test(text) || /^cannot read .*\/(?:hosts|opts): /.test(text))
    return { kind: 'complaint', text };
  return { kind: 'other', text };
}

/** Why dnsmasq ended, for an operator. */
export function explainEnd(reason: string, interfaceName: string): string {
  if (/failed to execute dnsmasq/.test(reason)) {
    return 'Program dnsmasq is not installed: install the package dnsmasq-base';
  }
  const said = readLine(reason);
  const text = said.kind === 'other' || said.kind === 'complaint' ? said.text : reason;
  if (/bind DHCP server socket: Address (?:already )?in use/.test(text)) {
    return `UDP port 67 on ${interfaceName} is taken: another DHCP server runs on this host`;
  }
  if (/failed to create inotify/.test(text)) {
    return 'dnsmasq cannot watch its files: raise fs.inotify.max_user_instances, each network takes one';
  }
  if (/missing required capability|Operation not permitted|Permission denied/.test(text)) {
    return `dnsmasq is not allowed to serve (${text}): CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE are needed`;
  }
  return `dnsmasq ended: ${text}`;
}
