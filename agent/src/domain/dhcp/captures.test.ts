// The codec on what real clients said, whole and damaged.

import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { DHCP_CAPTURES } from '../../../../test/fakes/dhcp-captures.js';
import { MESSAGE_TYPE, OPTION } from './codes.js';
import { type DhcpMessage, decode, encode, MIN_MAX_BYTES } from './message.js';

const plain = ({ options, ...rest }: DhcpMessage) => ({
  ...rest,
  options: [...options].map(([code, value]) => [code, [...value]]),
});

function decoded(bytes: Uint8Array): DhcpMessage {
  const result = decode(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.message;
}

/** Decodes, and once more what that encodes to: what was read is all that matters of a message. */
function isReadOrRefused(bytes: Uint8Array): void {
  const result = decode(bytes);
  if (!result.ok) return;
  const { bytes: again, leftOut } = encode(result.message, 4_000);
  if (leftOut.length) throw new Error(`${leftOut.join()} did not fit`);
  expect(plain(decoded(again))).toEqual(plain(result.message));
}

describe.each(DHCP_CAPTURES)('$name', ({ name, bytes }) => {
  test('is read as what it is, and comes back from the encoder', () => {
    const message = decoded(bytes);
    const type = name.split(' ')[1]?.replace(',', '').toLowerCase() as keyof typeof MESSAGE_TYPE;
    expect(message.op).toBe('request');
    expect([...(message.options.get(OPTION.messageType) ?? [])]).toEqual([MESSAGE_TYPE[type]]);
    const again = encode(message, MIN_MAX_BYTES);
    expect(again.leftOut).toEqual([]);
    expect(plain(decoded(again.bytes))).toEqual(plain(message));
  });

  test('cut off anywhere it is refused, or read without what was cut off', () => {
    const whole = decoded(bytes);
    for (let length = 0; length < bytes.length; length++) {
      const result = decode(bytes.subarray(0, length));
      if (!result.ok) continue;
      for (const [code, value] of result.message.options) expect(whole.options.get(code)).toEqual(value);
    }
  });

  test('with any bit turned it is refused, or read as a message', () => {
    const damaged = Buffer.from(bytes);
    const readAfter = (at: number, mask: number) => {
      damaged[at] = (bytes[at] ?? 0) ^ mask;
      isReadOrRefused(damaged);
      const { ok } = decode(damaged);
      damaged[at] = bytes[at] ?? 0;
      return ok;
    };
    // Before the options only op, htype, hlen and the cookie make it a message.
    const isEssential = (at: number) => at < 3 || (at >= 236 && at < 240);
    const readBits = Array.from(bytes, (_, at) => [1, 2, 4, 8, 16, 32, 64, 128].filter((mask) => readAfter(at, mask)));
    expect(readBits.slice(0, 240).map(({ length }) => length)).toEqual(
      Array.from({ length: 240 }, (_, at) => (isEssential(at) ? 0 : 8)),
    );
  });
});

test('captures that are damaged in many places are refused or read', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.constantFrom(...DHCP_CAPTURES), damage, fc.nat(), (capture, places, cut) => {
      const bytes = Buffer.from(capture.bytes);
      for (const [at, value] of places) bytes[at % bytes.length] = value;
      isReadOrRefused(bytes.subarray(0, cut % 3 ? bytes.length : cut % bytes.length));
    }),
    { numRuns: 2_000 },
  );
});

test.each([0, 1, 2])('time is linear: of parts of %i bytes each is copied once at most', (length) => {
  const [head] = DHCP_CAPTURES.map(({ bytes }) => bytes.subarray(0, 240));
  const part = Buffer.from([12, length, ...Array<number>(length).fill(65)]);
  const bytes = Buffer.concat([head ?? Buffer.alloc(0), ...Array<Buffer>(Math.floor(3_856 / part.length)).fill(part)]);
  const concat = vi.spyOn(Buffer, 'concat');
  try {
    expect(decode(bytes).ok).toBe(true);
    const copied = concat.mock.results.reduce((sum, { value }) => sum + (value as Buffer).length, 0);
    expect(copied).toBeLessThanOrEqual(bytes.length);
  } finally {
    concat.mockRestore();
  }
});
