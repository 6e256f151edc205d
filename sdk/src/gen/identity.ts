// Who a certificate says it is (docs/adr/0020): one URI among its subject alternative names,
// `spiffe://<trust domain>/<role>/<name>`.
//
//   I1. What is not exactly that is nobody: no URI, a second one, another trust domain, a role that there is not, a name that
//       is no id, names that cannot be read.
//   I2. Names are read as Node prints them: `TYPE:value` separated by commas, where a value that could be mistaken for more
//       is a JSON string (CVE-2021-44532). Nothing inside of such a string is a name.

import { type Parsed, parseResourceId, quote } from './values.js';

/** What a caller is for. */
export const ROLES = ['engine', 'viewer', 'host', 'server'] as const;
/** One of them. */
export type Role = (typeof ROLES)[number];

/** Who somebody is. */
export interface Identity {
  readonly role: Role;
  readonly name: string;
}

/** Prints an identity, `engine/ovirt`. */
export function formatIdentity({ role, name }: Identity): string {
  return `${role}/${name}`;
}

/** Parses `engine/ovirt`. */
export function parseIdentity(text: string): Parsed<Identity> {
  const [first, name, ...more] = text.split('/');
  const role = ROLES.find((each) => each === first);
  if (!role || name === undefined || more.length > 0) {
    return bad(`${quote(text)} is not ROLE/NAME with a role of ${ROLES.join(', ')}`);
  }
  const id = parseResourceId(name);
  return id.ok ? { ok: true, value: { role, name: id.value } } : id;
}

/** The URI that says in a certificate of a trust domain who it is. */
export function spiffeOf(trustDomain: string, identity: Identity): string {
  return `spiffe://${trustDomain}/${formatIdentity(identity)}`;
}

/** Who a certificate with these subject alternative names is; `names`: as Node prints them, undefined: it has none. */
export function identityOf(names: string | undefined, trustDomain: string): Parsed<Identity> {
  const found = urisOf(names ?? '');
  if (!found.ok) return found;
  const [uri, ...others] = found.value;
  if (uri === undefined) return bad('the certificate has no URI among its subject alternative names');
  if (others.length > 0) return bad('the certificate has several URIs among its subject alternative names');
  const here = `spiffe://${trustDomain}/`;
  if (!uri.startsWith(here)) return bad(`the certificate is of ${quote(uri)}, which is not of ${here}`);
  const identity = parseIdentity(uri.slice(here.length));
  return identity.ok ? identity : bad(`the certificate is of ${quote(uri)}: ${identity.problem}`);
}

/** Why a certificate with these names is not a server's; undefined: it is. */
export function whyNoServer(names: string, trustDomain: string): string | undefined {
  return whyNot('a server', names, trustDomain, ({ role }) => role === 'server');
}

/** Why a certificate with these names is not this host's; undefined: it is. */
export function whyNotHost(hostId: string, names: string, trustDomain: string): string | undefined {
  return whyNot(`host ${hostId}`, names, trustDomain, ({ role, name }) => role === 'host' && name === hostId);
}

function whyNot(what: string, names: string, trustDomain: string, fits: (identity: Identity) => boolean) {
  const identity = identityOf(names, trustDomain);
  if (!identity.ok) return identity.problem;
  return fits(identity.value) ? undefined : `the certificate is of ${formatIdentity(identity.value)}, not of ${what}`;
}

// A type, then a JSON string or what holds neither a comma nor a quote.
const ENTRY = /([A-Za-z][A-Za-z0-9 ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/** The URIs among names. */
function urisOf(names: string): Parsed<readonly string[]> {
  const uris: string[] = [];
  ENTRY.lastIndex = 0;
  while (ENTRY.lastIndex < names.length) {
    const [, type, value = ''] = ENTRY.exec(names) ?? [];
    if (type === undefined) return bad('the subject alternative names of the certificate cannot be read');
    if (type === 'URI') uris.push(value.startsWith('"') ? unquoted(value) : value);
  }
  return { ok: true, value: uris };
}

/** What a JSON string says; of one that cannot be read, the text as it stands, which is no identity. */
function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
