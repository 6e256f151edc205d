import type { Ipv4 } from '@leasehold/proto/values';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NetworkId } from './ids.js';
import { makeReservationId, parseReservationId } from './reservation-id.js';

const entropy = (byte: number) => ({ random: () => 0, bytes: (length: number) => new Uint8Array(length).fill(byte) });
const someId = fc.oneof(fc.uuid(), fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/)) as fc.Arbitrary<NetworkId>;
const someAddress = fc.nat(0xffffffff) as fc.Arbitrary<Ipv4>;

describe('a reservation id', () => {
  test('carries its network and address, whatever they are', () => {
    fc.assert(
      fc.property(someId, someAddress, fc.nat(255), (networkId, address, byte) => {
        const id = makeReservationId(networkId, address, entropy(byte));
        expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(parseReservationId(id)).toEqual({ networkId, address });
      }),
    );
  });

  test('is another for another tenure of the same address', () => {
    const make = (byte: number) => makeReservationId('red' as NetworkId, 1 as Ipv4, entropy(byte));
    expect(make(1)).not.toBe(make(2));
  });

  test('is read only as it is made: whatever parses prints the same', () => {
    const bytes = fc.uint8Array({ maxLength: 90 }).map((each) => Buffer.from(each));
    const text = fc.oneof(
      fc.string(),
      bytes.map((each) => each.toString('base64url')),
      bytes.map((each) => Buffer.concat([Buffer.of(each.length % 3), each]).toString('base64')),
    );
    fc.assert(
      fc.property(text, (each) => {
        const parsed = parseReservationId(each);
        if (!parsed) return;
        const random = Buffer.from(each, 'base64url').subarray(5, 15);
        const again = makeReservationId(parsed.networkId, parsed.address, { random: () => 0, bytes: () => random });
        expect(again).toBe(each);
      }),
      { numRuns: 2_000 },
    );
  });

  test('with padding, other letters, a cut end or a UUID as text is not one', () => {
    const id = makeReservationId('red' as NetworkId, 1 as Ipv4, entropy(255));
    const uuid = Buffer.concat([Buffer.of(1), Buffer.alloc(14), Buffer.from('01234567-89ab-7cde-8f01-23456789abcd')]);
    const forged = [`${id}=`, ` ${id}`, id.replaceAll('_', '/'), id.slice(0, 20), '', uuid.toString('base64url')];
    expect(forged.map(parseReservationId)).toEqual(forged.map(() => undefined));
  });
});
