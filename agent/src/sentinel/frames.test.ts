import type { Mac } from '@leasehold/proto/values';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arpFrame, dhcpFrame } from '../../../test/fakes/fake-wire.js';
import { encode, MIN_MAX_BYTES } from '../domain/dhcp/message.js';
import { parseFrame } from './frames.js';

const GUEST = '52:54:00:00:00:0a' as Mac;
const NONE = 0 as never;
const DISCOVER = encode(
  {
    ...{ op: 'request', xid: 7, flags: 0, ciaddr: NONE, yiaddr: NONE, siaddr: NONE, giaddr: NONE, mac: GUEST },
    options: new Map([[53, Uint8Array.of(1)]]),
  },
  MIN_MAX_BYTES,
).bytes;

test('an ARP packet tells who says to have which address', () => {
  expect(parseFrame(arpFrame(GUEST, '0a00000a'))).toEqual({ kind: 'arp', sourceMac: GUEST, address: 0x0a00000a });
});

test('an ARP probe claims no address', () => {
  const probe = Buffer.from(arpFrame(GUEST, '0a00000a'));
  probe.fill(0, 28, 32);
  expect(parseFrame(probe)).toBeUndefined();
});

test('a DHCP message comes with the MAC of its frame', () => {
  const heard = parseFrame(dhcpFrame('52:54:00:00:00:0b', 68, 67, DISCOVER));
  expect(heard).toMatchObject({ kind: 'dhcp', sourceMac: '52:54:00:00:00:0b', message: { xid: 7, mac: GUEST } });
});

describe('what is not understood is not heard', () => {
  test('any bytes', () => {
    expect(() =>
      fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void parseFrame(bytes))),
    ).not.toThrow();
  });

  test.each([
    ['ARP', arpFrame(GUEST, '0a00000a')],
    ['DHCP', dhcpFrame(GUEST, 68, 67, DISCOVER)],
  ])('any part of a frame of %s, and one with any bit changed', (_, frame) => {
    const parts = Array.from({ length: frame.length }, (_each, length) => frame.subarray(0, length));
    const changed = Array.from({ length: frame.length * 8 }, (_each, bit) => {
      const bytes = Buffer.from(frame);
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      return bytes;
    });
    expect(() => [...parts, ...changed].map(parseFrame)).not.toThrow();
    expect(parseFrame(frame)).toBeDefined();
  });

  test('a frame from a group, or from nobody', () => {
    for (const mac of ['ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00'])
      expect(parseFrame(arpFrame(mac, '0a00000a'))).toBeUndefined();
  });
});
