// Certificates of a small CA, which `leasehold-server pki` keeps in a directory (ADR 20).
//
//   C1. A CA vouches for one trust domain, which its own certificate says (SPIFFE: a URI without a path).
//   C2. Certificates of servers serve and call, all others call only: a host cannot pose as a server.
//   C3. Chance and time are arguments.

import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { formatIdentity, type Identity, spiffeOf } from '@leasehold/proto/identity';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate with its key, as PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

/** From when until when. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** What is asked for. */
export interface CertificateRequest extends Validity {
  readonly identity: Identity;
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/** What a certificate says, whatever it is. */
export interface CertificateContent extends Validity {
  readonly commonName: string;
  readonly names: readonly { readonly type: 'url' | 'dns' | 'ip'; readonly value: string }[];
  readonly usages: readonly ('serverAuth' | 'clientAuth')[];
}

const KEYS = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A CA of a trust domain. */
export class Authority {
  readonly trustDomain: string;
  readonly notAfter: Date;
  readonly #certificate: X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #chance: webcrypto.Crypto;

  private constructor(
    certificate: X509Certificate,
    trustDomain: string,
    key: webcrypto.CryptoKey,
    chance: webcrypto.Crypto,
  ) {
    this.#certificate = certificate;
    this.#key = key;
    this.#chance = chance;
    this.trustDomain = trustDomain;
    this.notAfter = certificate.notAfter;
  }

  /** Makes a new one. */
  static async make(trustDomain: string, validity: Validity, chance: webcrypto.Crypto): Promise<Credentials> {
    const keys = await makeKeys(chance);
    const usages = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        ...validity,
        name: `CN=Leasehold CA of ${trustDomain}`,
        serialNumber: serialNumber(chance),
        keys,
        signingAlgorithm: SIGNING,
        extensions: [
          new BasicConstraintsExtension(true, 0, true),
          new KeyUsagesExtension(usages, true),
          new SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
          await SubjectKeyIdentifierExtension.create(keys.publicKey, false, chance),
        ],
      },
      chance,
    );
    return { certificate: pemOf(certificate), key: await exported(keys, chance) };
  }

  /** Reads one; throws when it is none that this program made. */
  static async read({ certificate, key }: Credentials, chance: webcrypto.Crypto): Promise<Authority> {
    const read = new X509Certificate(certificate);
    const names = read.getExtension(SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
    const [trustDomain] = names.flatMap(({ value }) => /^spiffe:\/\/([^/]+)$/.exec(value)?.[1] ?? []);
    if (trustDomain === undefined) throw new Error('its certificate names no trust domain');
    const [bytes] = PemConverter.decode(key);
    if (!bytes) throw new Error('it has no key');
    const signing = await chance.subtle.importKey('pkcs8', bytes, KEYS, false, ['sign']);
    return new Authority(read, trustDomain, signing, chance);
  }

  /** Makes a certificate of somebody, with a new key. */
  issue({ identity, dns, ips, notBefore, notAfter }: CertificateRequest): Promise<Credentials> {
    return this.sign({
      notBefore,
      notAfter,
      commonName: formatIdentity(identity),
      names: [
        { type: 'url', value: spiffeOf(this.trustDomain, identity) },
        ...dns.map((value) => ({ type: 'dns', value }) as const),
        ...ips.map((value) => ({ type: 'ip', value }) as const),
      ],
      usages: identity.role === 'server' ? ['serverAuth', 'clientAuth'] : ['clientAuth'],
    });
  }

  /** Makes a certificate that says just this, with a new key. */
  async sign(content: CertificateContent): Promise<Credentials> {
    const { notBefore, notAfter, commonName } = content;
    const keys = await makeKeys(this.#chance);
    const certificate = await X509CertificateGenerator.create(
      {
        notBefore,
        notAfter,
        subject: [{ CN: [commonName] }],
        issuer: this.#certificate.subjectName,
        serialNumber: serialNumber(this.#chance),
        publicKey: keys.publicKey,
        signingKey: this.#key,
        signingAlgorithm: SIGNING,
        extensions: [
          ...extensionsOf(content),
          await SubjectKeyIdentifierExtension.create(keys.publicKey, false, this.#chance),
          await AuthorityKeyIdentifierExtension.create(this.#certificate, false, this.#chance),
        ],
      },
      this.#chance,
    );
    return { certificate: pemOf(certificate), key: await exported(keys, this.#chance) };
  }
}

function extensionsOf({ names, usages }: CertificateContent): readonly Extension[] {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension(usages.map((usage) => ExtendedKeyUsage[usage])),
    ...(names.length > 0 ? [new SubjectAlternativeNameExtension([...names])] : []),
  ];
}

function makeKeys(chance: webcrypto.Crypto): Promise<webcrypto.CryptoKeyPair> {
  return chance.subtle.generateKey(KEYS, true, ['sign', 'verify']);
}

/** 16 bytes by chance, positive and not zero (RFC 5280 §4.1.2.2). */
function serialNumber(chance: webcrypto.Crypto): string {
  const bytes = chance.getRandomValues(Buffer.alloc(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

async function exported({ privateKey }: webcrypto.CryptoKeyPair, chance: webcrypto.Crypto): Promise<string> {
  return `${PemConverter.encode(await chance.subtle.exportKey('pkcs8', privateKey), 'PRIVATE KEY')}\n`;
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
