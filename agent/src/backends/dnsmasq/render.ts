// What dnsmasq is told: its arguments, hosts lines and options lines, made from a table. Pure.
//
//   D1. One line per entry or option, whatever is in the table: every value is parsed again and printed from the parsed
//       form, and every line is held against the alphabet of its kind. What does not pass is a problem, never a line.
//   D2. A host name is a bare word of its line and must be one that dnsmasq reads as a name.
//   D3. What a reservation says wins over its subnet: its tag is set by its MAC, that of the subnet by the range. Never
//       by its host line: dnsmasq frees such tags with the hosts it reads anew, and crashes when a guest had used one.
//   D4. Netmask, lease time, T1 and T2 are arguments; no line can say them.

import { createHash } from 'node:crypto';
import { parseDhcpOption } from '@leasehold/proto/dhcp-options';
import {
  formatCidr,
  formatIpv4,
  type Ipv4,
  netmask,
  type Parsed,
  parseDomain,
  parseHostname,
  parseIpv4,
  parseMac,
  quote,
} from '@leasehold/proto/values';
import type { ServedSubnet } from '../../domain/assignment.js';
import { OPTION } from '../../domain/dhcp/codes.js';
import { T1_OF_LEASE, T2_OF_LEASE } from '../../domain/lease-options.js';
import type { Entry } from '../../domain/table.js';

/** What is served, and where. */
export interface Served {
  readonly interfaceName: string;
  readonly serviceAddress: Ipv4;
  readonly subnets: readonly ServedSubnet[];
  /** Where the files are; absolute. */
  readonly directory: string;
  /** The file of tags, if there are any. */
  readonly tagsFile: string | undefined;
}

/** The files of a network, in its directory. */
export const FILES = { hosts: 'hosts', options: 'opts', before: 'before', additions: 'add', tags: 'tags-' } as const;

type OptionSetting = Pick<Entry['options'][number], 'code' | 'value'>;

// More than it is ever asked for: a refusal to lease for being full must not happen.
const MAX_LEASES = 70_000;

/** The arguments of a network's dnsmasq; other ones need another process. */
export function renderArguments(served: Served): Parsed<readonly string[]> {
  const { interfaceName, directory, subnets, tagsFile } = served;
  // A comma would begin another argument within one.
  if (!/^[A-Za-z0-9@._-]{1,15}$/.test(interfaceName))
    return bad(`dnsmasq cannot be told of interface ${interfaceName}`);
  if (!/^\/[A-Za-z0-9/._@+-]+$/.test(directory)) {
    return bad(`dnsmasq cannot be told of directory ${JSON.stringify(directory)}: choose another --state-dir`);
  }
  if (subnets.length === 0) return bad('There is no subnet to serve');
  return good([
    '--keep-in-foreground',
    // Read once; with other content it has another name.
    `--conf-file=${tagsFile === undefined ? '/dev/null' : `${directory}/${tagsFile}`}`,
    '--port=0',
    '--bind-dynamic',
    `--interface=${interfaceName}`,
    '--except-interface=lo',
    '--pid-file=',
    // Not changed: that would clear the parent-death signal, and the files are this user's.
    '--user=',
    '--group=',
    '--no-ping',
    '--quiet-dhcp',
    '--log-facility=-',
    '--leasefile-ro',
    `--dhcp-lease-max=${MAX_LEASES}`,
    '--dhcp-authoritative',
    '--dhcp-broadcast',
    '--dhcp-ignore=tag:!known',
    // It would give an address for ever, and quarantine counts on the lease time.
    '--dhcp-ignore=tag:bootp',
    ...subnets.flatMap((subnet) => rangeArguments(interfaceName, subnet)),
    `--dhcp-hostsfile=${directory}/${FILES.hosts}`,
    `--dhcp-hostsdir=${directory}/${FILES.additions}`,
    `--dhcp-optsfile=${directory}/${FILES.options}`,
  ]);
}

function rangeArguments(interfaceName: string, subnet: ServedSubnet): readonly string[] {
  const { cidr, leaseSeconds } = subnet;
  const [network, tag] = [formatIpv4(cidr.base), subnetTag(subnet)];
  return [
    `--shared-network=${interfaceName},${network}`,
    `--dhcp-range=set:${tag},${network},static,${formatIpv4(netmask(cidr.prefixLength))},${leaseSeconds}`,
    // Without force, a client that does not ask for them reckons with 7/8 of the lease.
    `--dhcp-option-force=tag:${tag},${OPTION.renewalTime},${Math.floor(leaseSeconds * T1_OF_LEASE)}`,
    `--dhcp-option-force=tag:${tag},${OPTION.rebindingTime},${Math.floor(leaseSeconds * T2_OF_LEASE)}`,
  ];
}

/** The line of one reservation, without its end. */
export function renderHost({ mac, address, hostname }: Entry): Parsed<string> {
  const parsedMac = parseMac(mac);
  if (!parsedMac.ok) return parsedMac;
  const parsedAddress = parseIpv4(formatIpv4(address));
  if (!parsedAddress.ok) return parsedAddress;
  const words: string[] = [parsedMac.value, formatIpv4(parsedAddress.value)];
  if (hostname !== '') {
    // Refuses what dnsmasq reads as a lease time or as `ignore`.
    const name = parseHostname(hostname);
    if (!name.ok) return name;
    words.push(name.value);
  }
  const line = words.join(',');
  return HOST_LINE.test(line) ? good(line) : bad(`Reservation of ${mac} cannot be told to dnsmasq`);
}

const HOST_LINE = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5},[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:,[a-z0-9][a-z0-9-]{0,62})?$/;

/** A file that gives reservations with options of their own the tags of these: its name and content; or none is needed. */
export function renderTags(
  entries: Iterable<Pick<Entry, 'mac' | 'options'>>,
): Parsed<{ readonly name: string; readonly text: string } | undefined> {
  const lines: string[] = [];
  for (const { mac, options } of entries) {
    if (options.length === 0) continue;
    const parsed = parseMac(mac);
    if (!parsed.ok) return parsed;
    const line = `dhcp-mac=set:${optionsTag(options)},${parsed.value}`;
    if (!TAG_LINE.test(line)) return bad(`Reservation of ${mac} cannot be told to dnsmasq`);
    lines.push(line);
  }
  if (lines.length === 0) return good(undefined);
  const text = lines
    .toSorted()
    .map((line) => `${line}\n`)
    .join('');
  return good({ name: `${FILES.tags}${shortHash(text)}`, text });
}

const TAG_LINE = /^dhcp-mac=set:o[0-9a-f]{16},[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;

/** The options file: of subnets, and of reservations once for each set of options. */
export function renderOptions(
  { subnets, serviceAddress }: Pick<Served, 'subnets' | 'serviceAddress'>,
  entries: Iterable<Pick<Entry, 'options'>>,
): Parsed<string> {
  const lines: string[] = [];
  for (const subnet of subnets) {
    const settings = subnetLines(subnet, serviceAddress);
    if (!settings.ok) return settings;
    lines.push(...settings.value);
  }
  const seen = new Map<string, readonly OptionSetting[]>();
  for (const { options } of entries) if (options.length > 0) seen.set(optionsTag(options), options);
  // Sorted: the same options are the same file, whatever the order of reservations.
  for (const [tag, options] of [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const own = optionLines(tag, options);
    if (!own.ok) return own;
    lines.push(...own.value);
  }
  const long = lines.find((line) => line.length > MAX_LINE);
  if (long !== undefined) {
    const start = long.slice(0, 40);
    return bad(`An option cannot be told to dnsmasq, its line has ${long.length} characters of ${MAX_LINE}: ${start}`);
  }
  const wrong = lines.find((line) => !OPTION_LINE.test(line));
  if (wrong !== undefined) return bad(`Option cannot be told to dnsmasq: ${quote(wrong)}`);
  return good(lines.map((line) => `${line}\n`).join(''));
}

// dnsmasq cuts a line after 1,024 characters, and reads the rest as another one.
const MAX_LINE = 1_000;

// A tag, a number, then either words without meaning to dnsmasq beyond themselves, or one quoted text.
const OPTION_LINE = /^tag:[os][0-9a-f]{16},[0-9]{1,3}(?:|(?:,[a-z0-9./:-]+)+|,"(?:[^"\\\n\r\0]|\\["\\])*")$/;

function subnetLines(subnet: ServedSubnet, serviceAddress: Ipv4): Parsed<readonly string[]> {
  const tag = subnetTag(subnet);
  const line = (code: number, ...values: readonly string[]) => [`tag:${tag},${code}`, ...values].join(',');
  const { gateway, dnsServers, ntpServers, domainName, domainSearch, mtu, routes } = subnet;
  const names = [...domainSearch, ...(domainName === '' ? [] : [domainName])];
  for (const name of names) {
    const parsed = parseDomain(name);
    if (!parsed.ok) return parsed;
  }
  // Without a value the option is not told; without the line dnsmasq would tell its own address.
  const lines = [gateway === undefined ? line(OPTION.router) : line(OPTION.router, formatIpv4(gateway))];
  const [dns, ntp] = [dnsServers, ntpServers].map((servers) => servers.map(formatIpv4).filter(isTold));
  if (dns?.length) lines.push(line(OPTION.dnsServers, ...dns));
  if (domainName !== '') lines.push(line(OPTION.domainName, quoted(domainName)));
  if (mtu !== 0) lines.push(line(OPTION.mtu, String(mtu)));
  if (ntp?.length) lines.push(line(OPTION.ntpServers, ...ntp));
  if (domainSearch.length > 0) lines.push(line(OPTION.domainSearch, ...domainSearch));
  if (routes.length > 0) {
    // As the builtin backend says them: the server first, the default route last (RFC 3442).
    const told = [
      ...[`${formatIpv4(serviceAddress)}/32`, '0.0.0.0'],
      ...routes.flatMap(({ destination, nextHop }) => [formatCidr(destination), formatIpv4(nextHop)]),
      ...(gateway === undefined ? [] : ['0.0.0.0/0', formatIpv4(gateway)]),
    ];
    lines.push(line(OPTION.classlessRoutes, ...told));
  }
  const own = optionLines(tag, subnet.options);
  return own.ok ? good([...lines, ...own.value]) : own;
}

function optionLines(tag: string, options: readonly OptionSetting[]): Parsed<readonly string[]> {
  const lines: string[] = [];
  for (const { code, value } of options) {
    const parsed = parseDhcpOption(code, value);
    if (!parsed.ok) return parsed;
    const text = optionText(code, parsed.value.value);
    if (text !== undefined) lines.push(`tag:${tag},${code},${text}`);
  }
  return good(lines);
}

/** Options whose text is what dnsmasq expects: addresses with commas between, a number. */
const PLAIN = new Set([7, 44, 46, 150]);

/** Options that dnsmasq knows by name and takes a text for, never bytes. */
const KNOWN_TEXTS = new Set([17, 66, 67, 100, 101]);

function optionText(code: number, value: string): string | undefined {
  if (PLAIN.has(code)) return value.split(',').filter(isTold).join(',') || undefined;
  // In quotes nothing is read as an address, a number or bytes, but for these: the width of a number without digits.
  if (value !== 'i' && value !== 's') return quoted(value);
  return KNOWN_TEXTS.has(code) ? undefined : `${value.charCodeAt(0)}b`;
}

/** dnsmasq tells its own address for this one, which is no server's. */
function isTold(address: string): boolean {
  return address !== '0.0.0.0';
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, (character) => `\\${character}`)}"`;
}

function subnetTag({ subnetId }: ServedSubnet): string {
  return `s${shortHash(subnetId)}`;
}

function optionsTag(options: readonly OptionSetting[]): string {
  return `o${shortHash(JSON.stringify(options.map(({ code, value }) => [code, value])))}`;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function good<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
