import type { Ipv4, Mac } from '@leasehold/proto/values';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DhcpMessage, decode, encode, MIN_MAX_BYTES } from './message.js';

const address = fc.integer({ min: 0, max: 0xffffffff }).map((n) => n as Ipv4);
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac);
// Codes 0 and 255 are no options, 52 is the encoder's own.
const code = fc.integer({ min: 1, max: 254 }).filter((n) => n !== 52);

const message: (maxValue: number, maxOptions: number) => fc.Arbitrary<DhcpMessage> = (maxValue, maxOptions) =>
  fc.record({
    op: fc.constantFrom('request', 'reply'),
    xid: fc.integer({ min: 0, max: 0xffffffff }),
    flags: fc.integer({ min: 0, max: 0xffff }),
    ciaddr: address,
    yiaddr: address,
    siaddr: address,
    giaddr: address,
    mac,
    options: fc
      .uniqueArray(fc.tuple(code, fc.uint8Array({ maxLength: maxValue })), {
        selector: ([n]) => n,
        maxLength: maxOptions,
      })
      .map((entries) => new Map(entries)),
  });

const plain = ({ options, ...rest }: DhcpMessage) => ({
  ...rest,
  options: new Map([...options].map(([n, value]) => [n, [...value]])),
});

function decoded(bytes: Uint8Array): DhcpMessage {
  const result = decode(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.message;
}

describe('the codec', () => {
  test('what fits comes back as it was, values over 255 bytes included', () => {
    fc.assert(
      fc.property(message(600, 4), (given) => {
        const { bytes, leftOut } = encode(given, 4_000);
        expect(leftOut).toEqual([]);
        expect(plain(decoded(bytes))).toEqual(plain(given));
      }),
    );
  });

  test('what does not fit is left out whole and named, and the size is kept', () => {
    fc.assert(
      fc.property(message(120, 12), fc.integer({ min: MIN_MAX_BYTES, max: 700 }), (given, maxBytes) => {
        const { bytes, leftOut } = encode(given, maxBytes);
        expect(bytes.length).toBeLessThanOrEqual(maxBytes);
        expect(bytes.length).toBeGreaterThanOrEqual(300);
        const kept = new Map([...given.options].filter(([n]) => !leftOut.includes(n)));
        expect(plain(decoded(bytes))).toEqual(plain({ ...given, options: kept }));
      }),
    );
  });

  test('options over the options field go to file and sname, so that 300 bytes in three parts fit', () => {
    const options = new Map([200, 100, 50].map((length, i) => [200 + i, new Uint8Array(length).fill(i + 1)]));
    const given = { ...EMPTY, options };
    const { bytes, leftOut } = encode(given, MIN_MAX_BYTES);
    expect(leftOut).toEqual([]);
    expect(plain(decoded(bytes))).toEqual(plain(given));
  });

  // 548 bytes less 240 before the options and 1 for the end leave 307: 2 + 255 and 2 + 48.
  test.each([
    [47, false],
    [48, false],
    [49, true],
  ])('the end is always there: 2 + 255 bytes and 2 + %i fill the options field, overload: %s', (length, overloaded) => {
    const options = [new Uint8Array(255), new Uint8Array(length)].map((value, i) => [200 + i, value.fill(1)] as const);
    const given = { ...EMPTY, options: new Map(options) };
    const { bytes } = encode(given, MIN_MAX_BYTES);
    expect(bytes.at(-1)).toBe(255);
    expect(bytes[240] === 52).toBe(overloaded);
    expect(plain(decoded(bytes))).toEqual(plain(given));
  });

  test('an option that is too big for every place is left out, the ones after it are not', () => {
    const options = new Map([
      [200, new Uint8Array(400)],
      [53, Uint8Array.of(5)],
    ]);
    const { bytes, leftOut } = encode({ ...EMPTY, options }, MIN_MAX_BYTES);
    expect(leftOut).toEqual([200]);
    expect([...decoded(bytes).options.keys()]).toEqual([53]);
  });
});

describe('decode', () => {
  test('hostile bytes never throw', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
      decode(bytes);
    });
    expect(() => fc.assert(property)).not.toThrow();
  });

  test('a message with hostile options never throws and never invents an option', () => {
    const head = encode(EMPTY, MIN_MAX_BYTES).bytes.subarray(0, 240);
    const told = (tail: Uint8Array) => {
      const result = decode(Buffer.concat([head, tail]));
      return result.ok ? [...result.message.options.values()].reduce((sum, value) => sum + value.length, 0) : 0;
    };
    const property = fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => told(tail) <= tail.length + 192);
    expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow();
  });

  const good = () => Buffer.from(encode(EMPTY, MIN_MAX_BYTES).bytes);
  const withOptions = (...options: number[]) => Buffer.concat([good().subarray(0, 240), Buffer.from(options)]);

  test.each([
    ['too-short', () => good().subarray(0, 239)],
    ['too-long', () => Buffer.concat([good(), Buffer.alloc(4_096)])],
    ['bad-op', () => good().fill(3, 0, 1)],
    ['not-ethernet', () => good().fill(6, 1, 2)],
    ['not-ethernet', () => good().fill(16, 2, 3)],
    ['no-cookie', () => good().fill(0, 236, 237)],
    ['bad-options', () => withOptions(12, 5, 65)],
    ['bad-options', () => withOptions(12, 2, 65)],
    ['bad-options', () => withOptions(12)],
    ['bad-options', () => withOptions(52, 1, 4)],
    ['bad-options', () => withOptions(52, 2, 1, 1)],
  ])('%s', (reason, bytes) => {
    expect(decode(bytes())).toEqual({ ok: false, reason });
  });

  test('padding is skipped, parts of one option are joined, a missing end is forgiven', () => {
    const { options } = decoded(withOptions(0, 12, 1, 65, 0, 0, 12, 2, 66, 67));
    expect(Buffer.from(options.get(12) ?? []).toString()).toBe('ABC');
  });

  test('nothing after the end is read', () => {
    expect([...decoded(withOptions(53, 1, 1, 255, 12, 1, 65)).options.keys()]).toEqual([53]);
  });

  test('an option may go on in file and sname, in that order', () => {
    const bytes = withOptions(12, 1, 65, 52, 1, 3, 255);
    bytes.set([12, 1, 67, 255], 44); // sname
    bytes.set([12, 1, 66, 255], 108); // file
    const { options } = decoded(bytes);
    expect(Buffer.from(options.get(12) ?? []).toString()).toBe('ABC');
    expect(options.has(52)).toBe(false);
  });
});

const EMPTY: DhcpMessage = {
  op: 'request',
  xid: 7,
  flags: 0,
  ciaddr: 0 as Ipv4,
  yiaddr: 0 as Ipv4,
  siaddr: 0 as Ipv4,
  giaddr: 0 as Ipv4,
  mac: '02:00:00:00:00:01' as Mac,
  options: new Map(),
};
