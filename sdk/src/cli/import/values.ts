// The values in files of reservations, parsed as strictly as a server does, so that it has nothing left to refuse.

import { type Parsed, parseIpv4, parseResourceId, quote } from '../../gen/values.js';

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (problem: string): { readonly ok: false; readonly problem: string } => ({ ok: false, problem });

const MAC_FORMS = [
  /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{2}(?:-[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}$/,
];

/** A MAC with colons, dashes or dots, in its canonical form. */
export function parseMac(text: string): Parsed<string> {
  const lower = text.toLowerCase();
  if (!MAC_FORMS.some((form) => form.test(lower))) return bad(`${quote(text)} is not a MAC like 52:54:00:aa:bb:cc`);
  const digits = lower.replace(/[:.-]/g, '');
  if (digits === '000000000000') return bad('The MAC is zero');
  const mac = (digits.match(/../g) ?? []).join(':');
  return Number.parseInt(digits.slice(0, 2), 16) & 1
    ? bad(`${mac} is a multicast MAC, a vNIC has a unicast one`)
    : ok(mac);
}

/** An IPv4 address. */
export function parseAddress(text: string): Parsed<string> {
  return parseIpv4(text).ok ? ok(text) : bad(`${quote(text)} is not an IPv4 address like 10.0.0.7`);
}

/** The id of a network or subnet. */
export function parseId(text: string): Parsed<string> {
  return parseResourceId(text).ok ? ok(text) : bad(`${quote(text)} is not an id`);
}

/** An owner: up to 255 characters, none of them a control character. */
export function parseOwner(text: string): Parsed<string> {
  if (text.length > 255) return bad('The owner is longer than 255 characters');
  return /\p{Cc}/u.test(text) ? bad('The owner holds a control character') : ok(text);
}

/** The value of a label: up to 255 bytes, no control characters. */
export function parseLabelValue(text: string): Parsed<string> {
  if (Buffer.byteLength(text) > 255) return bad('The label is longer than 255 bytes');
  return /\p{Cc}/u.test(text) ? bad('The label holds a control character') : ok(text);
}

/** Whether a text can be the key of a label. */
export function isLabelKey(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/.test(text);
}
