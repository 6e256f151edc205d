// TLS: who is believed and who we are, from files that may change while the program runs.
//
//   T1. Files are looked at before a connection is made, and every REREAD_MS by the calls: a certificate that was
//       renewed is in use before the old one ends, without a timer or watcher.
//   T2. A server is known by the name or address that it is reached by and by the role in its certificate: a CA may vouch for
//       much else that has a name, hosts and engines among it.
//   T3. Files that do not fit together or cannot be read, as in the midst of being exchanged, change nothing: what was good
//       before stays in use. They are read again each time, since nothing need tell that they can be read now.
//   T4. What is given for `cert` or `key` is in no message: it may be a key that is not taken for one.

import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { type ChannelCredentials, type ClientOptions, credentials, type VerifyOptions } from '@grpc/grpc-js';
import { whyNoServer } from './gen/identity.js';
import { quote } from './gen/values.js';
import type { ParsedAddress, ServerAddress } from './server-address.js';

/** How servers are reached by TLS. Each is the path of a file, which is read again when it changes, or PEM itself. */
export interface TlsOptions {
  /** Certificates of the CAs that a server's certificate must come from. */
  readonly ca: string | Buffer;
  /** The client's own certificate, with what leads to its CA. Absent, with `key`: none is shown. */
  readonly cert?: string | Buffer | undefined;
  /** The private key of `cert`. */
  readonly key?: string | Buffer | undefined;
  /** The name that a server's certificate must hold. Absent: the one that it is reached by. */
  readonly serverName?: string | undefined;
  /** Of whom the servers are: a certificate must be of `spiffe://NAME/server/…`. Absent: `leasehold`. */
  readonly trustDomain?: string | undefined;
}

const DEFAULT_TRUST_DOMAIN = 'leasehold';

/** What channels to one server are made with. */
export interface ChannelSecurity {
  readonly credentials: ChannelCredentials;
  readonly options: ClientOptions;
}

type Read = { readonly ok: true; readonly value: SecureContext } | Extract<ParsedAddress, { readonly ok: false }>;

const PARTS = ['ca', 'cert', 'key'] as const;

/** TLS as options say, with what the files held when they were read last. */
export class Tls {
  readonly #options: TlsOptions;
  #context: SecureContext;
  #seen: string;
  /** What was seen when it was said last that it cannot be used. */
  #unusable: string | undefined;

  private constructor(options: TlsOptions, context: SecureContext, seen: string) {
    this.#options = options;
    this.#context = context;
    this.#seen = seen;
  }

  /** Reads it all; or why that cannot be. */
  static open(options: TlsOptions): { readonly ok: true; readonly value: Tls } | Extract<Read, { readonly ok: false }> {
    if (!options.ca) return { ok: false, problem: 'tls.ca is missing: who signs the certificates of the servers?' };
    if (!options.cert !== !options.key) {
      return { ok: false, problem: `tls.${options.cert ? 'key' : 'cert'} is missing: a certificate goes with its key` };
    }
    // Before they are read: what changes meanwhile is read again.
    const seen = fingerprint(options);
    const context = readContext(options);
    return context.ok ? { ok: true, value: new Tls(options, context.value, seen) } : context;
  }

  /** Reads files again that have changed: whether they are in use now, why they cannot be (once), or that nothing changed. */
  refresh(): 'same' | 'changed' | { readonly problem: string } {
    const seen = fingerprint(this.#options);
    if (seen === this.#seen) return 'same';
    const context = readContext(this.#options);
    if (!context.ok) {
      if (seen === this.#unusable) return 'same';
      this.#unusable = seen;
      return { problem: context.problem };
    }
    this.#seen = seen;
    this.#unusable = undefined;
    this.#context = context.value;
    return 'changed';
  }

  /** What channels to a server are made with from now on. */
  securityOf({ target }: ServerAddress): ChannelSecurity {
    const { serverName, trustDomain = DEFAULT_TRUST_DOMAIN } = this.#options;
    const [, ip = ''] = /^\[?([^\]]*?)\]?:[0-9]+$/.exec(target) ?? [];
    const byIp = serverName === undefined && isIP(ip) !== 0;
    // TLS has no way to ask for an IP address (RFC 6066 §3), so nobody's name is asked for and the address checked here.
    const verify: VerifyOptions = {
      checkServerIdentity: (host, cert) => whyNotIt(byIp ? ip : host, cert, trustDomain),
    };
    const name = byIp ? NO_NAME : serverName;
    return {
      credentials: credentials.createFromSecureContext(this.#context, verify),
      options: name === undefined ? {} : { 'grpc.ssl_target_name_override': name },
    };
  }
}

const NO_NAME = 'leasehold.invalid';

function whyNotIt(name: string, cert: PeerCertificate, trustDomain: string): Error | undefined {
  const other = checkServerIdentity(name, cert);
  const why = other ? undefined : whyNoServer(cert.subjectaltname ?? '', trustDomain);
  return why === undefined ? other : new Error(`This is no server: ${why}`);
}

function readContext(options: TlsOptions): Read {
  const pems: Partial<Record<(typeof PARTS)[number], string>> = {};
  for (const part of PARTS) {
    const given = options[part];
    if (!given) continue;
    const pem = read(given);
    if (!pem.ok) {
      const what = part === 'ca' ? quote(String(given)) : 'it is no PEM, and as the path of a file it';
      return { ok: false, problem: `tls.${part}: ${what} cannot be read (${pem.errno})` };
    }
    if (!pem.value.includes('-----BEGIN ')) return { ok: false, problem: `tls.${part}: there is no PEM in it` };
    pems[part] = pem.value;
  }
  try {
    return { ok: true, value: createSecureContext({ ...pems, minVersion: 'TLSv1.3' }) };
  } catch (error) {
    // Of OpenSSL: `…:key values mismatch`. It holds nothing of the key.
    const [why = ''] = String(error instanceof Error ? error.message : error)
      .split(':')
      .slice(-1);
    return { ok: false, problem: `tls: the certificates or the key cannot be used (${why})` };
  }
}

type ReadFile = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly errno: string };

function read(given: string | Buffer): ReadFile {
  if (!isPath(given)) return { ok: true, value: given.toString() };
  try {
    return { ok: true, value: readFileSync(given, 'utf8') };
  } catch (error) {
    return { ok: false, errno: (error as NodeJS.ErrnoException).code ?? 'unknown' };
  }
}

function isPath(given: string | Buffer): given is string {
  return typeof given === 'string' && !given.includes('-----BEGIN ');
}

/** What tells a file from another one, and from itself as it was. */
function fingerprint(options: TlsOptions): string {
  const paths = PARTS.map((part) => options[part]).filter((given) => given !== undefined && isPath(given));
  return paths.map(stateOfFile).join('\n');
}

function stateOfFile(path: string): string {
  try {
    const { dev, ino, mtimeNs, ctimeNs, size } = statSync(path, { bigint: true });
    return [dev, ino, mtimeNs, ctimeNs, size].join(' ');
  } catch {
    // Whyever: reading it says so.
    return 'none';
  }
}

const CAUSES: readonly (readonly [RegExp, string])[] = [
  [
    /self.signed certificate|unable to get (?:local )?issuer certificate|unable to verify the first certificate/,
    'its certificate does not come from a CA of tls.ca: give the CA that signed it',
  ],
  [/certificate has expired/, 'its certificate has expired: give the server a new one'],
  [/certificate is not yet valid/, 'its certificate is not valid yet: look at the clocks of both machines'],
  [
    /ERR_TLS_CERT_ALTNAME_INVALID/,
    'its certificate is for other names: reach it by one of them, or set tls.serverName',
  ],
  [
    /wrong version number|packet length too long/,
    'it does not speak TLS: connect without tls, or give the server a certificate',
  ],
  [/alert protocol version|unsupported protocol/, 'it does not speak TLS 1.3'],
  [/alert certificate required/, 'it wants a certificate: set tls.cert and tls.key'],
  [
    /alert (?:unknown ca|bad certificate|certificate (?:expired|revoked|unknown))/,
    'it does not take the certificate of tls.cert',
  ],
];

// What `whyNotIt` says, as gRPC passes it on. It is looked for first: it may hold what somebody wrote into a certificate.
const NO_SERVER = /Error: This is no server: (.*?)(?:\. Resolution note: .*)?$/s;

/** What is wrong with the TLS of a server and what to do, from what gRPC says; undefined: something else is. */
export function tlsProblem(details: string): string | undefined {
  const [, why] = NO_SERVER.exec(details) ?? [];
  if (why !== undefined) {
    return `it is no server of tls.trustDomain, ${why}: give it a certificate with the role server, or set tls.trustDomain`;
  }
  return CAUSES.find(([pattern]) => pattern.test(details))?.[1];
}

const FROM_ENVIRONMENT = {
  ca: 'LEASEHOLD_TLS_CA',
  cert: 'LEASEHOLD_TLS_CERT',
  key: 'LEASEHOLD_TLS_KEY',
  serverName: 'LEASEHOLD_TLS_SERVER_NAME',
  trustDomain: 'LEASEHOLD_TLS_TRUST_DOMAIN',
} as const;

/** TLS as the environment says; undefined: it says nothing. */
export function tlsOfEnvironment(env: Readonly<Record<string, string | undefined>>): TlsOptions | undefined {
  const { ca, cert, key, serverName, trustDomain } = FROM_ENVIRONMENT;
  if (!Object.values(FROM_ENVIRONMENT).some((name) => env[name])) return undefined;
  return {
    ca: env[ca] ?? '',
    cert: env[cert] || undefined,
    key: env[key] || undefined,
    serverName: env[serverName] || undefined,
    trustDomain: env[trustDomain] || undefined,
  };
}
