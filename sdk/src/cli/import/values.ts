// The values in files of reservations, parsed as strictly as a server does, so that it has nothing left to refuse.

/** A parsed value, or what is wrong with the text, for people. */
export type Value<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

const ok = <T>(value: T): Value<T> => ({ ok: true, value });
const bad = (problem: string): { readonly ok: false; readonly problem: string } => ({ ok: false, problem });
const quoted = (text: string): string => JSON.stringify(text.length > 64 ? `${text.slice(0, 61)}...` : text);

const MAC_FORMS = [
  /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{2}(?:-[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}$/,
];

/** A MAC with colons, dashes or dots, in its canonical form. */
export function parseMac(text: string): Value<string> {
  const lower = text.toLowerCase();
  if (!MAC_FORMS.some((form) => form.test(lower))) return bad(`${quoted(text)} is not a MAC like 52:54:00:aa:bb:cc`);
  const digits = lower.replace(/[:.-]/g, '');
  if (digits === '000000000000') return bad('The MAC is zero');
  const mac = (digits.match(/../g) ?? []).join(':');
  return Number.parseInt(digits.slice(0, 2), 16) & 1
    ? bad(`${mac} is a multicast MAC, a vNIC has a unicast one`)
    : ok(mac);
}

/** The number of an IPv4 address without leading zeros; undefined: it is none. */
export function ipv4Number(text: string): number | undefined {
  const octets = text.split('.');
  if (octets.length !== 4 || !octets.every((octet) => /^(?:0|[1-9][0-9]{0,2})$/.test(octet) && Number(octet) <= 255)) {
    return undefined;
  }
  return octets.reduce((number, octet) => number * 256 + Number(octet), 0);
}

/** An IPv4 address. */
export function parseAddress(text: string): Value<string> {
  return ipv4Number(text) === undefined ? bad(`${quoted(text)} is not an IPv4 address like 10.0.0.7`) : ok(text);
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** A host name: one label, not one that DHCP servers read as a setting. */
export function parseHostname(text: string): Value<string> {
  const name = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (!LABEL.test(name)) {
    return bad(`${quoted(text)} is not a host name: one label of letters, digits and dashes, up to 63 characters`);
  }
  return /^(?:[0-9]+[smhdw]?|ignore|infinite)$/.test(name)
    ? bad(`${quoted(text)} cannot be a host name, DHCP servers read it as a setting`)
    : ok(name);
}

/** The id of a network or subnet. */
export function parseId(text: string): Value<string> {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(text) ? ok(text) : bad(`${quoted(text)} is not an id`);
}

/** An owner: up to 255 characters, none of them a control character. */
export function parseOwner(text: string): Value<string> {
  if (text.length > 255) return bad('The owner is longer than 255 characters');
  return /\p{Cc}/u.test(text) ? bad('The owner holds a control character') : ok(text);
}

/** The value of a label: up to 255 bytes, no control characters. */
export function parseLabelValue(text: string): Value<string> {
  if (Buffer.byteLength(text) > 255) return bad('The label is longer than 255 bytes');
  return /\p{Cc}/u.test(text) ? bad('The label holds a control character') : ok(text);
}

/** Whether a text can be the key of a label. */
export function isLabelKey(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/.test(text);
}

/** A block of addresses, both ends included. */
export interface Block {
  readonly first: number;
  readonly last: number;
}

/** The addresses of a CIDR as a server prints it. */
export function blockOf(cidr: string): Block {
  const [address = '', length = ''] = cidr.split('/');
  const first = ipv4Number(address) ?? 0;
  return { first, last: first + 2 ** (32 - Number(length)) - 1 };
}
