// The certificate, key and CAs of a program, read from files and read again when they change.
//
//   T1. What is in use is whole: the key is the certificate's, and every certificate can be read. Files that do not fit, as in
//       the middle of an exchange, are left alone, said once, and looked at again when they change once more.
//   T2. They are looked at from time to time, not watched: it is all the same to this how they are exchanged, by a rename, by
//       a link or by being written over.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock, Timer } from './clock.js';
import type { Log } from './log.js';
import type { Parsed } from './option-values.js';
import type { TlsPaths } from './tls-options.js';

/** What TLS is spoken with, as PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** When the certificate ends, in milliseconds since 1970. */
  readonly notAfterMs: number;
  /** The same for the library. */
  readonly context: SecureContext;
}

/** The least that is spoken; everything that dials or listens here is as new as this. */
export const TLS_VERSION = 'TLSv1.3';

const POLL_MS = 5_000;
const DAY_MS = 86_400_000;
// Time to find out why nobody renewed it.
const WARNED_BEFORE_MS = 14 * DAY_MS;

/** Why a certificate with these subject alternative names is not for this program; undefined: it is. */
export type WhyNotOurs = (subjectAltName: string) => string | undefined;

/** Reads what the files hold now; what is wrong says which file it is. */
function readTlsMaterial(paths: TlsPaths, whyNotOurs: WhyNotOurs): Parsed<TlsMaterial> {
  const problem = (flag: string, why: string) => ({ ok: false, problem: `${flag} cannot be used: ${why}` }) as const;
  const [cert, key, ca] = [readText(paths.cert), readText(paths.key), readText(paths.ca)];
  if (!cert.ok) return problem(`--tls-cert ${paths.cert}`, cert.problem);
  if (!key.ok) return problem(`--tls-key ${paths.key}`, key.problem);
  if (!ca.ok) return problem(`--tls-ca ${paths.ca}`, ca.problem);
  const [own] = certificatesIn(cert.value);
  if (!own)
    return problem(`--tls-cert ${paths.cert}`, 'it holds no certificate, or one that is cut off or cannot be read');
  if (certificatesIn(ca.value).length === 0)
    return problem(`--tls-ca ${paths.ca}`, 'it holds no certificate, or one that is cut off or cannot be read');
  const other = whyNotOurs(own.subjectAltName ?? '');
  if (other !== undefined) return problem(`--tls-cert ${paths.cert}`, other);
  const fits = keyFits(own, key.value);
  if (fits !== true) return problem(`--tls-key ${paths.key}`, fits);
  try {
    const pem = { cert: cert.value, key: key.value, ca: ca.value };
    const context = createSecureContext({ ...pem, minVersion: TLS_VERSION });
    return { ok: true, value: { ...pem, notAfterMs: Date.parse(own.validTo), context } };
  } catch (error) {
    return problem(`--tls-cert ${paths.cert}, --tls-ca ${paths.ca}`, messageOf(error));
  }
}

function readText(path: string): Parsed<string> {
  try {
    return { ok: true, value: readFileSync(path, 'utf8') };
  } catch (error) {
    return { ok: false, problem: (error as NodeJS.ErrnoException).code ?? messageOf(error) };
  }
}

const BEGIN = /-----BEGIN CERTIFICATE-----/g;
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a PEM text; none when one of them cannot be read, or is not there to its end. */
function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length !== (pem.match(BEGIN) ?? []).length) return [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}

function keyFits(certificate: X509Certificate, pem: string): true | string {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem)) || 'it is not the key of the certificate';
  } catch {
    // What the library says of a key that it cannot read would be of its insides.
    return 'it holds no private key that can be read; a key with a passphrase is none';
  }
}

interface Ports {
  readonly clock: Clock;
  readonly log: Log;
}

/** See the top of the file. */
export class TlsFiles {
  readonly #paths: TlsPaths;
  readonly #whyNotOurs: WhyNotOurs;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  #current: TlsMaterial;
  #seen: string;
  #warned: 'soon' | 'over' | undefined;
  #timer: Timer | undefined;

  private constructor(paths: TlsPaths, first: TlsMaterial, whyNotOurs: WhyNotOurs, ports: Ports) {
    this.#paths = paths;
    this.#whyNotOurs = whyNotOurs;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#current = first;
    this.#seen = versionOf(paths);
    this.#warnOfEnd();
    this.#await();
  }

  /** Reads them for the first time, and follows them from then on. */
  static open(paths: TlsPaths, whyNotOurs: WhyNotOurs, ports: Ports): Parsed<TlsFiles> {
    const first = readTlsMaterial(paths, whyNotOurs);
    return first.ok ? { ok: true, value: new TlsFiles(paths, first.value, whyNotOurs, ports) } : first;
  }

  /** What is in use now. */
  get current(): TlsMaterial {
    return this.#current;
  }

  /** Tells of every exchange from now on. */
  onChange(listener: (material: TlsMaterial) => void): void {
    this.#listeners.add(listener);
  }

  /** Looks no more. */
  stop(): void {
    this.#timer?.cancel();
  }

  #await(): void {
    this.#timer = this.#clock.after(POLL_MS, () => {
      this.#await();
      this.#look();
      this.#warnOfEnd();
    });
  }

  #look(): void {
    const version = versionOf(this.#paths);
    if (version === this.#seen) return;
    // Before they are read: what changes meanwhile is seen the next time.
    this.#seen = version;
    const read = readTlsMaterial(this.#paths, this.#whyNotOurs);
    if (!read.ok) {
      this.#log.warn('TLS files are not used, those from before stay', { problem: read.problem });
      return;
    }
    this.#current = read.value;
    this.#warned = undefined;
    this.#log.info('TLS files are read again', { notAfter: new Date(read.value.notAfterMs).toISOString() });
    for (const listener of this.#listeners) listener(read.value);
  }

  #warnOfEnd(): void {
    const { notAfterMs } = this.#current;
    const leftMs = notAfterMs - this.#clock.wallTime().getTime();
    const state = leftMs <= 0 ? 'over' : leftMs < WARNED_BEFORE_MS ? 'soon' : undefined;
    if (state === this.#warned) return;
    this.#warned = state;
    const fields = { cert: this.#paths.cert, notAfter: new Date(notAfterMs).toISOString() };
    if (state === 'soon') this.#log.warn('The TLS certificate ends soon, renew it', fields);
    if (state === 'over') this.#log.error('The TLS certificate has ended, others refuse it: renew it', fields);
  }
}

/** Another text when one of the files is another, or can be read or not any more. */
function versionOf({ cert, key, ca }: TlsPaths): string {
  return [cert, key, ca].map(versionOfFile).join(' ');
}

function versionOfFile(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}/${size}/${ino}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
