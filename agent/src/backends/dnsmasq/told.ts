// What a dnsmasq was told, and what must be done to tell it something else. Pure.

import { type Mac, type Parsed, parseIpv4, parseMac } from '@leasehold/proto/values';
import type { Entry, NetworkTable } from '../../domain/table.js';
import type { Ghost } from './ghosts.js';
import { renderHost, renderOptions, renderTags } from './render.js';

/** Hosts by MAC, with their lines, and the other files. */
export interface Told {
  readonly hosts: ReadonlyMap<Mac, ToldHost>;
  readonly options: string;
  /** Undefined: none is needed. Other ones need another process. */
  readonly tags: { readonly name: string; readonly text: string } | undefined;
}

interface ToldHost {
  readonly line: string;
  readonly ghost: Ghost;
}

/** From one thing told to another. `added`: lines that can be put beside what is there; nothing else is new. */
export type Change =
  | { readonly kind: 'none' }
  | { readonly kind: 'added'; readonly lines: readonly string[] }
  | { readonly kind: 'replaced' };

// Entries are replaced, never changed.
const rendered = new WeakMap<Entry, Parsed<string>>();

/** What must be told of a table; the service address must be assigned. */
export function tell(table: NetworkTable): Parsed<Told> {
  const hosts = new Map<Mac, ToldHost>();
  const entries: Entry[] = [];
  for (const { entry } of table.leases()) {
    const line = rendered.get(entry) ?? renderHost(entry);
    rendered.set(entry, line);
    if (!line.ok) return line;
    hosts.set(entry.mac, { line: line.value, ghost: { mac: entry.mac, address: entry.address } });
    entries.push(entry);
  }
  const { serviceAddress } = table;
  if (serviceAddress === undefined) return { ok: false, problem: 'Nothing is assigned yet' };
  const options = renderOptions({ subnets: table.subnets, serviceAddress }, entries);
  if (!options.ok) return options;
  const tags = renderTags(entries);
  return tags.ok ? { ok: true, value: { hosts, options: options.value, tags: tags.value } } : tags;
}

/** How to get from one to the other. */
export function difference(before: Told, after: Told): Change {
  if (before.options !== after.options) return { kind: 'replaced' };
  const lines: string[] = [];
  let kept = 0;
  for (const [mac, { line }] of after.hosts) {
    const there = before.hosts.get(mac);
    if (there?.line === line) kept++;
    else if (there) return { kind: 'replaced' };
    else lines.push(line);
  }
  // Also when an address has another MAC now: dnsmasq refuses it to that while it remembers the first one.
  if (kept < before.hosts.size) return { kind: 'replaced' };
  return lines.length > 0 ? { kind: 'added', lines } : { kind: 'none' };
}

/** What was promised before and is not any more: dnsmasq may remember a lease of it. */
export function ghostsBetween(before: Told, after: Told): Ghost[] {
  return [...before.hosts.values()].flatMap(({ ghost }) => (isPromised(after, ghost) ? [] : [ghost]));
}

/** The same of all that earlier host lines promised. */
export function ghostsIn(lines: readonly string[], after: Told): Ghost[] {
  return lines.flatMap((line) => {
    const words = line.split(',');
    const mac = parseMac(words[0] ?? '');
    const address = parseIpv4(words.find((word) => /^[0-9.]+$/.test(word)) ?? '');
    if (!mac.ok || !address.ok) return [];
    const ghost = { mac: mac.value, address: address.value };
    return isPromised(after, ghost) ? [] : [ghost];
  });
}

function isPromised({ hosts }: Told, { mac, address }: Ghost): boolean {
  return hosts.get(mac)?.ghost.address === address;
}

/** The hosts file. */
export function hostsFile({ hosts }: Told): string {
  return [...hosts.values()].map(({ line }) => `${line}\n`).join('');
}
