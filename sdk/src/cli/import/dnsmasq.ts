// Reservations from dnsmasq: `dhcp-host=` lines of its configuration, or a file for its --dhcp-hostsfile.
//
// Its fields may stand in any order and are told apart by how they look, as dnsmasq does it.

import { type Parsed as ParsedValue, parseHostname, parseMac } from '../../gen/values.js';
import type { Finding } from '../findings.js';
import { type Entry, leftOut, type Parsed, parseAddress, problem } from './entry.js';

/** One field of a line. */
type Field =
  | { readonly kind: 'mac' | 'address' | 'name'; readonly text: string }
  | { readonly kind: 'ignore' | 'anyClient' }
  | { readonly kind: 'left-out'; readonly what: string }
  | { readonly kind: 'wrong'; readonly what: string; readonly next?: string };

const HOST_OPTION = /^(?:--)?dhcp-host\s*=\s*/;

/** Reads reservations; what Leasehold has nothing for is said. */
export function parseDnsmasq(text: string): Parsed {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line: index + 1, text: withoutComment(line) }));
  const filled = lines.filter((line) => line.text !== '');
  // In a configuration there are other options as well; a hosts file has nothing but hosts.
  const isConfiguration = filled.some((line) => HOST_OPTION.test(line.text));
  const hosts = isConfiguration ? filled.filter((line) => HOST_OPTION.test(line.text)) : filled;
  const read = hosts.map(({ line, text: host }) => toEntry(line, host.replace(HOST_OPTION, '')));
  const others = filled.length - hosts.length;
  const about = others > 0 ? [otherOptions(others)] : [];
  return {
    entries: read.flatMap(({ entry }) => (entry ? [entry] : [])),
    findings: [...read.flatMap(({ findings }) => findings), ...about],
  };
}

function otherOptions(count: number): Finding {
  const what = `${count} lines are not dhcp-host: not looked at`;
  return { check: 'import-left-out', severity: 'note', about: 'file', what };
}

function withoutComment(line: string): string {
  return line.replace(/(^|\s)#.*$/, '').trim();
}

interface ReadLine {
  readonly entry?: Entry;
  readonly findings: readonly Finding[];
}

function toEntry(line: number, text: string): ReadLine {
  const fields = text.split(',').map((field) => toField(field.trim().replace(/^"(.*)"$/, '$1')));
  const findings = fields.flatMap((field): readonly Finding[] => {
    if (field.kind === 'wrong') return [problem(line, field.what, field.next)];
    return field.kind === 'left-out' ? [leftOut(line, field.what)] : [];
  });
  if (findings.some(({ severity }) => severity === 'problem')) return { findings };
  if (fields.some(({ kind }) => kind === 'ignore')) {
    return { findings: [leftOut(line, 'ignore: not imported, for nobody answers a MAC without a reservation')] };
  }
  const values = takeValues(line, fields);
  if ('severity' in values) return { findings: [...findings, values] };
  const { domain, ...entry } = values;
  const more = domain === undefined ? [] : [leftOut(line, `the domain ${domain}: a subnet has one for all`)];
  return { entry, findings: [...findings, ...more] };
}

function takeValues(line: number, fields: readonly Field[]): (Entry & { readonly domain?: string }) | Finding {
  const of = (kind: 'mac' | 'address' | 'name') =>
    fields.flatMap((field) => (field.kind === kind && 'text' in field ? [field.text] : []));
  const [macs, addresses, names] = [of('mac'), of('address'), of('name')];
  const [mac, address, name] = [macs[0], addresses[0], names[0]];
  if (mac === undefined)
    return problem(line, 'has no MAC: reservations are for MACs', 'Add the MAC, or take the line out');
  if (macs.length > 1) return problem(line, 'names several MACs, an address has one', 'Make a line for each');
  if (addresses.length > 1) return problem(line, 'names several addresses, a MAC has one', 'Leave one of them');
  if (names.length > 1) return problem(line, 'names the host twice');
  const [label = '', ...rest] = name?.split('.') ?? [];
  const parsed: readonly ParsedValue<string>[] = [
    parseMac(mac),
    ...(address === undefined ? [] : [parseAddress(address)]),
    ...(name === undefined ? [] : [parseHostname(label)]),
  ];
  for (const one of parsed) if (!one.ok) return problem(line, one.problem);
  const [canonical = mac] = parsed.flatMap((one) => (one.ok ? [one.value] : []));
  return {
    line,
    mac: canonical,
    labels: {},
    ...(address === undefined ? {} : { address }),
    ...(name === undefined ? {} : { hostname: label.toLowerCase() }),
    ...(rest.length === 0 ? {} : { domain: rest.join('.') }),
  };
}

function toField(text: string): Field {
  if (text === '') return { kind: 'wrong', what: 'has an empty field: two commas, or one at an end' };
  if (text === 'ignore') return { kind: 'ignore' };
  // Leasehold never asks for client ids, which is what id:* wants.
  if (text === 'id:*') return { kind: 'anyClient' };
  const [, word] = /^(id|set|net|tag):/.exec(text) ?? [];
  if (word !== undefined) return { kind: 'left-out', what: LEFT_OUT[word] ?? '' };
  if (text.startsWith('[')) return { kind: 'left-out', what: 'the IPv6 address: reservations are of IPv4' };
  if (text.includes(':') || /^[0-9a-f]{2}(?:-[0-9a-f]{2}){5}$/i.test(text)) return toMac(text);
  if (/^[0-9.]+$/.test(text) && text.includes('.')) return { kind: 'address', text };
  if (/^(?:[0-9]+[smhdw]?|infinite)$/i.test(text)) {
    return { kind: 'left-out', what: 'the lease time: a subnet has one for all' };
  }
  return { kind: 'name', text };
}

const LEFT_OUT: Readonly<Record<string, string>> = {
  id: 'the client id: guests are told apart by MAC',
  set: 'the tag that it sets: there are no tags, use labels and options of the reservation',
  net: 'the tag that it sets: there are no tags, use labels and options of the reservation',
  tag: 'the tag that it asks for: it is imported without this condition',
};

function toMac(text: string): Field {
  // `1-52:…` and `06-52:…`: the ARP type before the MAC; only Ethernet has these MACs.
  const [, type, mac = text] = /^([0-9a-f]{1,2})-([0-9a-f*]{1,2}:.*)$/i.exec(text) ?? [];
  if (type !== undefined && Number.parseInt(type, 16) !== 1) {
    return { kind: 'wrong', what: `the ARP type ${type} is not Ethernet`, next: 'Take the line out' };
  }
  if (mac.includes('*')) {
    const next = 'Make a line for each MAC';
    return { kind: 'wrong', what: 'the MAC has a wildcard: a reservation is for one MAC', next };
  }
  // dnsmasq takes 0:1:2:3:4:5 as well.
  const octets = mac.split(':').map((octet) => (octet.length === 1 ? `0${octet}` : octet));
  return { kind: 'mac', text: octets.join(':') };
}
