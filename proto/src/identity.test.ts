// Certificates whose names are made to be read as somebody else's.

import { describe, expect, test } from 'vitest';
import { formatIdentity, identityOf, parseIdentity, spiffeOf, whyNoServer, whyNotHost } from './identity.js';

const DOMAIN = 'leasehold';
const ENGINE = { role: 'engine', name: 'ovirt' } as const;
const of = (names: string | undefined) => identityOf(names, DOMAIN);

test('one URI says who it is, whatever other names there are', () => {
  const uri = `URI:${spiffeOf(DOMAIN, ENGINE)}`;
  for (const names of [
    uri,
    `DNS:a, ${uri}, IP Address:10.0.0.1`,
    `IP Address:0:0:0:0:0:0:0:1, DNS:localhost, ${uri}`,
    `${uri}, email:a@b, Registered ID:1.2.3, DirName:"CN=a\\u002c CN=b"`,
    `URI:${JSON.stringify(spiffeOf(DOMAIN, ENGINE))}`,
  ]) {
    expect(of(names)).toEqual({ ok: true, value: ENGINE });
  }
});

describe('nobody is', () => {
  test.each([
    ['without names', undefined],
    ['with no name', ''],
    ['without a URI', 'DNS:spiffe://leasehold/engine/x'],
    ['with two URIs', 'URI:spiffe://leasehold/engine/x, URI:spiffe://leasehold/viewer/x'],
    ['with the same URI twice', 'URI:spiffe://leasehold/engine/x, URI:spiffe://leasehold/engine/x'],
    ['with another URI before it', 'URI:http://a/, URI:spiffe://leasehold/engine/x'],
    ['of another trust domain', 'URI:spiffe://other/engine/x'],
    ['of a trust domain that begins like it', 'URI:spiffe://leasehold.evil/engine/x'],
    ['of a trust domain by another name', 'URI:spiffe://Leasehold/engine/x'],
    ['of another scheme', 'URI:https://leasehold/engine/x'],
    ['by a port', 'URI:spiffe://leasehold:1/engine/x'],
    ['by a user', 'URI:spiffe://x@leasehold/engine/x'],
    ['of a role that there is not', 'URI:spiffe://leasehold/root/x'],
    ['of a role in capitals', 'URI:spiffe://leasehold/Engine/x'],
    ['of no name', 'URI:spiffe://leasehold/engine/'],
    ['of no role', 'URI:spiffe://leasehold/engine'],
    ['of a longer path', 'URI:spiffe://leasehold/engine/x/y'],
    ['of a path that climbs', 'URI:spiffe://leasehold/viewer/../engine/x'],
    ['of an escaped path', 'URI:spiffe://leasehold/engine%2Fx'],
    ['with a query', 'URI:spiffe://leasehold/engine/x?a'],
    ['with a fragment', 'URI:spiffe://leasehold/engine/x#a'],
    ['with a space after it', 'URI:spiffe://leasehold/engine/x '],
    ['with a line break in it', 'URI:"spiffe://leasehold/engine/x\\u000a"'],
    ['with NUL in it', 'URI:"spiffe://leasehold/engine/x\\u0000.evil"'],
    ['of a name that is no id', `URI:spiffe://leasehold/engine/${'x'.repeat(64)}`],
    // What a quoting that was not understood would let through (CVE-2021-44532).
    ['whose DNS name holds one', 'DNS:"a\\u002c URI:spiffe://leasehold/engine/x"'],
    ['whose DNS name holds one, not escaped', 'DNS:"a, URI:spiffe://leasehold/engine/x"'],
    ['whose quoted name holds a quote', 'DNS:"a\\", URI:spiffe://leasehold/engine/x"'],
    ['whose URI holds another', 'URI:"http://a/?\\u002c URI:spiffe://leasehold/engine/x"'],
    ['with a quote that is not closed', 'DNS:"a, URI:spiffe://leasehold/engine/x'],
    ['with a quote in the middle', 'DNS:a"b, URI:spiffe://leasehold/engine/x'],
    ['with something after a quoted name', 'DNS:"a"b, URI:spiffe://leasehold/engine/x'],
    ['with a type of its own', 'othername:"URI:spiffe://leasehold/engine/x"'],
    ['with a type in small letters', 'uri:spiffe://leasehold/engine/x'],
    ['with another separator', 'DNS:a,URI:spiffe://leasehold/engine/x'],
    ['with what is not JSON in quotes', 'URI:"\\x"'],
  ])('%s', (_, names) => {
    const nobody = of(names);
    expect(nobody.ok).toBe(false);
    if (!nobody.ok) expect(nobody.problem).toMatch(/^the (certificate|subject alternative names)/);
  });

  test('what it says is quoted and cut', () => {
    const nobody = of(`URI:"spiffe://leasehold/engine/\\u001b[31m${'x'.repeat(500)}"`);
    expect(nobody.ok || nobody.problem).toMatch(/^[\x20-\x7e]{1,400}$/);
  });
});

test('identities are parsed as they are printed', () => {
  for (const text of ['engine/a', 'viewer/a.b', 'host/h-1', 'server/s_1']) {
    const parsed = parseIdentity(text);
    expect(parsed.ok && formatIdentity(parsed.value)).toBe(text);
  }
  for (const text of ['', '/', 'engine', 'engine/A', 'host/h1/', 'nobody/x'])
    expect(parseIdentity(text).ok).toBe(false);
});

test('a server is known by its role, and a host by its name', () => {
  const host = `URI:${spiffeOf(DOMAIN, { role: 'host', name: 'h1' })}`;
  const server = `URI:${spiffeOf(DOMAIN, { role: 'server', name: 's1' })}, DNS:s1`;
  expect(whyNoServer(server, DOMAIN)).toBeUndefined();
  expect(whyNoServer(host, DOMAIN)).toBe('the certificate is of host/h1, not of a server');
  expect(whyNoServer('DNS:s1', DOMAIN)).toContain('no URI');
  expect(whyNotHost('h1', host, DOMAIN)).toBeUndefined();
  expect(whyNotHost('h2', host, DOMAIN)).toBe('the certificate is of host/h1, not of host h2');
});
