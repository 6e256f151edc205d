// The values that travel in strings: how each is parsed strictly and printed canonically.
//
// Servers and agents both parse with these functions and print from the parsed value only, so that what one side
// let in cannot mean something else on the other.

/** A parsed value, or what is wrong with the text, for people: sentence case, no full stop. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** An IPv4 address as an unsigned 32-bit number. */
export type Ipv4 = number & { readonly __brand: 'Ipv4' };

/** A MAC address in its canonical form, `52:54:00:aa:bb:cc`. */
export type Mac = string & { readonly __brand: 'Mac' };

/** An IPv4 prefix: the network address and how many leading bits are fixed. */
export interface Cidr {
  readonly base: Ipv4;
  readonly prefixLength: number;
}

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (problem: string): { readonly ok: false; readonly problem: string } => ({ ok: false, problem });

const OCTET = '(0|[1-9][0-9]{0,2})';
const DOTTED = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);

/** Parses `10.0.0.7`: four decimal octets without leading zeros, nothing else (RFC 6943 §3.1.1, strict). */
export function parseIpv4(text: string): Parsed<Ipv4> {
  const match = DOTTED.exec(text);
  if (!match) return bad(`${quote(text)} is not an IPv4 address like 10.0.0.7`);
  let value = 0;
  for (let i = 1; i <= 4; i++) {
    const octet = Number(match[i]);
    if (octet > 255) return bad(`${quote(text)} is not an IPv4 address: ${octet} is over 255`);
    value = value * 256 + octet;
  }
  return ok(value as Ipv4);
}

/** Prints `10.0.0.7`. */
export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The netmask of a prefix length, 0 to 32. */
export function netmask(prefixLength: number): Ipv4 {
  return (prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0) as Ipv4;
}

/** Parses `10.0.0.0/24` or `10.0.0.0/255.255.255.0`. Refuses host bits and non-contiguous masks, saying what was probably meant. */
export function parseCidr(text: string): Parsed<Cidr> {
  const slash = text.indexOf('/');
  if (slash < 0) return bad(`${quote(text)} is not a CIDR like 10.0.0.0/24: the prefix length is missing`);
  const address = parseIpv4(text.slice(0, slash));
  if (!address.ok) return address;
  const prefix = parsePrefixLength(text.slice(slash + 1));
  if (!prefix.ok) return prefix;
  const base = (address.value & netmask(prefix.value)) >>> 0;
  const meant = formatCidr({ base: base as Ipv4, prefixLength: prefix.value });
  if (base !== address.value) return bad(`${quote(text)} has host bits set, probably ${meant} was meant`);
  return ok({ base: base as Ipv4, prefixLength: prefix.value });
}

function parsePrefixLength(text: string): Parsed<number> {
  if (/^(0|[1-9][0-9]?)$/.test(text)) {
    const length = Number(text);
    return length <= 32 ? ok(length) : bad(`Prefix length ${length} is over 32`);
  }
  const mask = parseIpv4(text);
  if (!mask.ok) return bad(`${quote(text)} is neither a prefix length nor a netmask`);
  const length = Math.clz32(~mask.value >>> 0);
  if (netmask(length) === mask.value) return ok(length);
  const meant = formatIpv4(netmask(length));
  return bad(`Netmask ${quote(text)} is not contiguous, probably ${meant} (/${length}) was meant`);
}

/** Prints `10.0.0.0/24`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIpv4(cidr.base)}/${cidr.prefixLength}`;
}

/** The first address of a prefix: its network address. */
export function firstAddress(cidr: Cidr): Ipv4 {
  return cidr.base;
}

/** The last address of a prefix: its broadcast address. */
export function lastAddress(cidr: Cidr): Ipv4 {
  // A shift by 32 is one by 0.
  return (cidr.prefixLength === 32 ? cidr.base : cidr.base + (0xffffffff >>> cidr.prefixLength)) as Ipv4;
}

/** Whether a prefix holds an address. */
export function cidrContains(cidr: Cidr, address: Ipv4): boolean {
  return address >= cidr.base && address <= lastAddress(cidr);
}

/** Whether two prefixes share an address. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return a.base <= lastAddress(b) && b.base <= lastAddress(a);
}

const CANONICAL_MAC = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/;
const MAC_FORMS = [
  /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{2}(?:-[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}$/,
];

/** Parses a MAC with colons, dashes or dots, in either case. Refuses multicast and zero: no vNIC has them. */
export function parseMac(text: string): Parsed<Mac> {
  // As we print it ourselves: a unicast address has an even second digit.
  if (CANONICAL_MAC.test(text) && text !== '00:00:00:00:00:00') return ok(text as Mac);
  const lower = text.toLowerCase();
  if (!MAC_FORMS.some((form) => form.test(lower))) {
    return bad(`${quote(text)} is not a MAC address like 52:54:00:aa:bb:cc`);
  }
  const digits = lower.replace(/[:.-]/g, '');
  if (digits === '000000000000') return bad('MAC address is zero');
  const mac = (digits.match(/../g) ?? []).join(':');
  if (Number.parseInt(digits.slice(0, 2), 16) & 1) {
    return bad(`MAC address ${mac} is a multicast address, a vNIC has a unicast one`);
  }
  return ok(mac as Mac);
}

/** Prints the six bytes of a MAC in canonical form. */
export function formatMac(bytes: Uint8Array): Mac {
  let text = '';
  for (let i = 0; i < 6; i++) text += `${i ? ':' : ''}${(bytes[i] ?? 0).toString(16).padStart(2, '0')}`;
  return text as Mac;
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

// dnsmasq reads these host names as settings (a lease time, `ignore`): refused for every backend, so that a
// reservation means the same whoever serves it.
const READ_AS_SETTING = /^(?:[0-9]+[smhdw]?|ignore|infinite)$/;

// Only ASCII: toLowerCase() makes a k of the Kelvin sign too, and a name would be another one than was given.
function toLowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Parses a host name: one label of lower-case letters, digits and dashes (RFC 1123), not all digits. */
export function parseHostname(text: string): Parsed<string> {
  const name = toLowerAscii(text);
  if (!LABEL.test(name)) {
    return bad(`${quote(text)} is not a host name: one label of letters, digits and dashes, up to 63 characters`);
  }
  if (READ_AS_SETTING.test(name)) return bad(`${quote(text)} cannot be a host name, DHCP servers read it as a setting`);
  return ok(name);
}

/** Parses a domain name: labels with dots between, up to 253 characters, without the final dot. */
export function parseDomain(text: string): Parsed<string> {
  const name = toLowerAscii(text);
  if (name.length > 253 || !name.split('.').every((label) => LABEL.test(label))) {
    return bad(`${quote(text)} is not a domain name like example.org`);
  }
  return ok(name);
}

const RESOURCE_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Parses the id of a network, subnet or host. */
export function parseResourceId(text: string): Parsed<string> {
  if (RESOURCE_ID.test(text)) return ok(text);
  return bad(
    `${quote(text)} is not an id: 1 to 63 characters, lower-case letters, digits, dots, dashes and underscores, beginning with a letter or digit`,
  );
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Parses text for people or programs: no control characters, at most `max` characters. */
export function parseText(text: string, max: number): Parsed<string> {
  if (text.length > max) return bad(`Longer than ${max} characters`);
  return CONTROL.test(text) ? bad(`${quote(text)} has control characters`) : ok(text);
}

const MAX_OWNER = 255;

/** Parses the owner of a reservation, the caller's own name for the vNIC. */
export function parseOwner(text: string): Parsed<string> {
  return parseText(text, MAX_OWNER);
}

/** How many labels a thing may have. */
export const MAX_LABELS = 32;

const MAX_LABEL_KEY = 63;
const MAX_LABEL_VALUE = 255;
// Without a key that names the prototype of objects: protobuf's generated code loses it without a word.
const LABEL_KEY = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,${MAX_LABEL_KEY - 1}}$`);

/** Parses the key of a label. */
export function parseLabelKey(text: string): Parsed<string> {
  if (LABEL_KEY.test(text)) return ok(text);
  const form = `1 to ${MAX_LABEL_KEY} of A-Z a-z 0-9 . _ / -, beginning with a letter or digit`;
  return bad(`${quote(text)} is not a key: ${form}`);
}

/** Parses the value of a label: no control characters; bytes are counted, not characters. */
export function parseLabelValue(key: string, text: string): Parsed<string> {
  if (Buffer.byteLength(text) > MAX_LABEL_VALUE) return bad(`Value of ${quote(key)} is over ${MAX_LABEL_VALUE} bytes`);
  return CONTROL.test(text) ? bad(`Value of ${quote(key)} has control characters`) : ok(text);
}

/** Quotes text from outside for a message: short, and without control characters. */
export function quote(text: string): string {
  const shown = JSON.stringify(text.length > 64 ? `${text.slice(0, 61)}...` : text);
  return shown.replace(/[\u007f-\u009f\u2028\u2029]/g, '?');
}
