// The flags that say with which certificate a program is known and whom it believes, and which endpoints speak TLS.

import { type Endpoint, formatEndpoint, isLoopback, type Parsed, parseText } from './option-values.js';
import { optionalValue, type Resolved, value } from './options.js';

/** Of every program that listens or dials. */
export const TLS_OPTIONS = {
  tlsCert: optionalValue({
    unit: 'file',
    help: 'PEM: the certificate this program is known by, and those between it and the CA; re-read when it changes',
    parse: parseText,
  }),
  tlsKey: optionalValue({ unit: 'file', help: 'PEM: the private key of the certificate', parse: parseText }),
  tlsCa: optionalValue({
    unit: 'file',
    help: 'PEM: the CAs that others are believed by, and no others',
    parse: parseText,
  }),
  tlsTrustDomain: value({
    unit: 'name',
    help: 'of whom identities are believed: spiffe://NAME/ROLE/…',
    parse: parseTrustDomain,
    default: 'leasehold',
  }),
};

/** Of every program that dials, too. */
export const TLS_DIAL_OPTIONS = {
  tlsServerName: optionalValue({
    unit: 'name',
    help: 'the name that the certificate of a server must have, instead of the one it is dialled by',
    parse: parseText,
  }),
};

/** What decides where TLS is spoken. */
export type TlsChoice = Pick<Resolved<typeof TLS_OPTIONS>, 'tlsCert' | 'tlsKey' | 'tlsCa'> & {
  readonly insecure: boolean;
  readonly insecureNetwork: boolean;
};

/** Where the files are. */
export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** The files that were given; undefined: none, there is no TLS. */
export function tlsPaths({ tlsCert: cert, tlsKey: key, tlsCa: ca }: TlsChoice): TlsPaths | undefined {
  return cert !== undefined && key !== undefined && ca !== undefined ? { cert, key, ca } : undefined;
}

/** Whether TLS is spoken at an endpoint, with who listens or who is dialled there. */
export function speaksTls(endpoint: Endpoint, choice: TlsChoice): boolean {
  return tlsPaths(choice) !== undefined && !(choice.insecure && isLoopback(endpoint));
}

/** Why an endpoint, which the flag names, must not be without TLS; undefined: it may, or it is not without. */
export function refuseInsecure(flag: string, endpoint: Endpoint, choice: TlsChoice): string | undefined {
  if (speaksTls(endpoint, choice) || choice.insecureNetwork) return undefined;
  const what = `${flag} ${formatEndpoint(endpoint)} would be without TLS: give --tls-cert, --tls-key and --tls-ca, or allow`;
  if (!isLoopback(endpoint)) return `${what} any network with --insecure-network`;
  return choice.insecure ? undefined : `${what} this machine with --insecure`;
}

/** Why the flags do not go together; undefined when they do. */
export function findTlsConflict(choice: TlsChoice): string | undefined {
  const flags = { '--tls-cert': choice.tlsCert, '--tls-key': choice.tlsKey, '--tls-ca': choice.tlsCa };
  const missing = Object.entries(flags).flatMap(([flag, path]) => (path === undefined ? [flag] : []));
  if (missing.length > 0 && missing.length < 3) {
    return `--tls-cert, --tls-key and --tls-ca go together: ${missing.join(' and ')} is missing`;
  }
  if (missing.length === 0 && choice.insecureNetwork) {
    return '--insecure-network is for networks without TLS: leave it out, or --tls-cert, --tls-key and --tls-ca';
  }
  return undefined;
}

/** Parses the name of a trust domain, as SPIFFE has them. */
export function parseTrustDomain(text: string): Parsed<string> {
  if (/^[a-z0-9][a-z0-9._-]{0,254}$/.test(text)) return { ok: true, value: text };
  return { ok: false, problem: 'expected a name of lower-case letters, digits, dots, dashes and underscores' };
}
