// Certificates made on the spot, as good or as bad as a test wants them. Not published.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

const SERVER = 'spiffe://leasehold/server/s1';
const DAY_MS = 86_400_000;

/** What a certificate says. */
export interface CertificateOptions {
  /** Names and addresses of a server. Absent: a CA. */
  readonly names?: readonly string[];
  /** Who it is of. Absent: a server. */
  readonly uri?: string;
  /** Days from now on which it ends. Absent: 1. */
  readonly days?: number;
}

/** A certificate with its key. */
export class Certificate {
  readonly #name: string;
  readonly #key: KeyObject;
  readonly cert: string;
  readonly key: string;

  private constructor(
    name: string,
    issuer: Certificate | undefined,
    { names, uri = SERVER, days = 1 }: CertificateOptions,
  ) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = name;
    this.#key = privateKey;
    this.key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const signer = issuer ?? this;
    const signed = sequence(
      der(0xa0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      ECDSA_WITH_SHA256,
      nameOf(signer.#name),
      sequence(utcTime(Date.now() - 30 * DAY_MS), utcTime(Date.now() + days * DAY_MS)),
      nameOf(name),
      publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(names ? alternativeNames(names, uri) : IS_CA)),
    );
    const signature = sign('sha256', signed, signer.#key);
    const whole = sequence(signed, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), signature));
    const base64 = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
    this.cert = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  }

  /** A CA. */
  static authority(name: string): Certificate {
    return new Certificate(name, undefined, {});
  }

  /** A certificate that this CA signs. */
  issue(options: CertificateOptions = {}): Certificate {
    return new Certificate('leaf', this, { names: ['localhost', '127.0.0.1'], ...options });
  }
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function nameOf(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(commonName)))));
}

function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.[0-9]*/g, '');
  return der(0x17, Buffer.from(text.slice(2)));
}

function alternativeNames(names: readonly string[], uri: string): Buffer {
  const each = names.map((name) =>
    isIP(name) === 4 ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name)),
  );
  return sequence(oid('551d11'), der(0x04, sequence(...each, der(0x86, Buffer.from(uri)))));
}

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const IS_CA = sequence(
  oid('551d13'),
  der(0x01, Buffer.from([0xff])),
  der(0x04, sequence(der(0x01, Buffer.from([0xff])))),
);
